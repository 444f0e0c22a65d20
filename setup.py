"""Everything is read from settings.ini, the one place where nbdev, pip and the notebooks look."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
extras = {name: cfg[f"{name}_requirements"].split() for name in ("dev", "cuda", "bake", "formats", "c2pa", "viewer", "heic")}

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["gphm", "gphm.*"]) + ["gphm_assets", "gphm_assets.prior"],
    package_dir={"gphm_assets": "data/assets", "gphm_assets.prior": "data/prior"},
    package_data={"gphm": ["py.typed"], "gphm_assets": ["*.npz", "*.json", "*.onnx", "*.md"], "gphm_assets.prior": ["*"]},
    include_package_data=False,
    install_requires=cfg["requirements"].split(),
    extras_require=extras,
    python_requires=f">={cfg['min_python']},<3.15",
    entry_points={"nbdev": [f"{cfg['lib_name']}={cfg['lib_path']}._modidx:d"], "console_scripts": ["gphm = gphm.cli:main"]},
    zip_safe=False,
)
