"""The checks of .ci/run that are easier said in Python; `house.py NAME arguments`, without a name the static ones."""
import json, math, re, shutil, subprocess, sys
from pathlib import Path

PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "nbs/README.md", "data/README.md", "data/prior/README.md",
         "data/assets/README.md")

def static():
    "Runnable notebooks keep their parameters; the README's links, pictures and commands hold."
    import nbformat, papermill
    wrong, tagged, meant = [], set(), {"make_heads", "train_guiding", "train_gaussian", "reconstruct_avatar", "reenact"}
    for path in Path("nbs").glob("*.ipynb"):
        cells = nbformat.read(path, 4).cells
        if any("parameters" in c.metadata.get("tags", []) for c in cells): tagged.add(path.stem)
        if any("check_parameters(globals()" in c.source for c in cells): meant.add(path.stem)
    if meant != tagged: wrong.append(f"notebooks that read parameters: {sorted(meant)}; that carry the tag: {sorted(tagged)}")
    for name in sorted(tagged):
        found = papermill.inspect_notebook(f"nbs/{name}.ipynb")
        if not {"preset", "run_dir", "data_dir", "seed", "device"} <= set(found):
            wrong.append(f"{name}: papermill finds only {list(found)}")
    text = Path("README.md").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", Path(page).read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (Path(page).parent/target).exists():
                wrong.append(f"{page} links {target}, which does not exist")
    links = re.findall(r"\]\(([^)]+\.ipynb)\)", Path("nbs/README.md").read_text(encoding="utf-8"))
    listed = {Path("nbs")/p for p in [*links, "index.ipynb"]}
    for path in sorted(Path("nbs").rglob("*.ipynb")):
        if path not in listed and ".ipynb_checkpoints" not in path.parts:
            wrong.append(f"nbs/README.md does not list {path}; run `python .ci/map`")
    if "](nbs/README.md)" not in text: wrong.append("README.md does not link nbs/README.md, the map of the notebooks")
    for folder in sorted({p.parent.name for p in Path("nbs").glob("*/*.ipynb")} - {".ipynb_checkpoints"}):
        if f"[{folder}](nbs/README.md#{folder})" not in text: wrong.append(f"README.md's table of folders lacks {folder}")
    for line in text.splitlines():                     # numbers of the results are those of the tables they come from
        for table in re.findall(r"\]\((paper_figures/table_\w+\.md)\)", line) if line.startswith("|") else ():
            found = re.findall(r"\d+\.\d+", Path(table).read_text(encoding="utf-8"))
            wrong += [f"README.md says {n} in {line[:60]}…, but {table} does not"
                      for n in re.findall(r"(?<=\| )\d+\.\d+(?= \|)", line) if n not in found]
    lines = text.splitlines()
    if len(lines) > 200: wrong.append(f"README.md has {len(lines)} lines; 200 are the most")
    for n, line in enumerate(lines, 1):                # a row of a table or an image cannot be broken, and targets of links are not read
        length = len(re.sub(r"\]\([^)]*\)", "]", line))
        if length > 160 and not line.startswith(("|", "!")): wrong.append(f"README.md:{n} has {length} characters; 160 are the most")
    for command in ('pip install -e ".[dev]" && papermill nbs/train_gaussian.ipynb runs/train_gaussian.ipynb',
                    "nbdev_test --n_workers 1 --do_print"):
        if command not in text: wrong.append(f"README.md lacks the command {command}")
    if "TODO" in text: wrong.append("README.md still has a TODO")
    if not Path("runs").is_dir(): wrong.append("papermill does not make runs/; keep runs/.gitkeep")
    if wrong: sys.exit("\n".join(wrong))

def elsewhere():
    "Every module imports where a Python lacks what only Unix has, as on Windows; libraries are imported before it is taken away."
    import importlib, os, pkgutil, signal
    import accelerate, av, cv2, matplotlib.pyplot, numba, psutil, safetensors.torch, scenedetect  # noqa: F401
    import scipy.ndimage, scipy.optimize, scipy.spatial, torch, torchmetrics  # noqa: F401
    sys.modules.update({m: None for m in ("resource", "fcntl", "termios", "pwd", "grp", "pty", "tty", "syslog", "readline")})
    for n in ("fork", "register_at_fork", "sched_getaffinity", "getuid", "uname", "getloadavg", "nice", "killpg", "setsid",
              "RTLD_NOLOAD", "RTLD_NOW"): vars(os).pop(n, None)
    for n in ("SIGKILL", "SIGALRM", "SIGHUP", "SIGUSR1", "alarm", "setitimer"): vars(signal).pop(n, None)
    sys.platform = "win32"
    import gphm
    for m in pkgutil.walk_packages(gphm.__path__, "gphm."): importlib.import_module(m.name)

def same(a, b):
    "Two summaries agree in everything but what time and memory it took."
    a, b = ({k: v for k, v in json.loads(Path(p).read_text()).items() if not k.startswith("memory/") and not k.endswith("/seconds")}
            for p in (a, b))
    assert a == b, {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}
    numbers = [v for k, v in a.items() if k.startswith("test/")]
    assert len(numbers) >= 5 and all(isinstance(v, (int, float)) and v == v and abs(v) < 1e6 for v in numbers), a

FLOORS = {"guiding/test/psnr": 14.5, "test/psnr": 19.5, "test/psnr_face": 17.5, "test_expressions/psnr": 17.5, "test_subjects/psnr": 15.,
          "test/identity_gap": 5., "test/motion_mouth": .12, "test/motion_brows": .15}

def floors(summary):
    "A smoke training is no worse than it was, about a decibel allowed; its expression gap is near 0, so motion of landmarks stands in."
    found = json.loads(Path(summary).read_text())
    low = {k: (round(found.get(k, float("nan")), 2), least) for k, least in FLOORS.items() if not found.get(k, -1e9) >= least}
    assert not low, f"below their floors: {low}"

def example(run, data):
    "The README's Python example runs on a smoke model."
    code = re.search(r"```python\n(from gphm.capture.contract.*?)```", Path("README.md").read_text(encoding="utf-8"), re.S)[1]
    for place, mine in (("runs/gaussian-smoke", run), ("data/heads-smoke", data)):
        assert place in code, f"the README's example does not name {place}"
        code = code.replace(place, mine)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "[1, 4, 64, 64, 3]" in said.stdout, said.stdout + said.stderr

def video(path):
    "More than a frame, not all of one colour, and marked as synthetic."
    import av
    with av.open(path) as file:
        mark, frames = str(dict(file.metadata)), [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
    assert len(frames) > 1 and frames[0].std() > 5, (len(frames), frames[0].std())
    assert "ynthetic" in mark, mark

def photos(folder, count):
    "Photos of a synthetic person before a coloured wall, from several sides: one, or a folder of some."
    from PIL import Image
    from gphm.testing.rehearsal import rehearse
    folder, count = Path(folder), int(count)
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(rehearse(count, count, 256, (5, 25, 4), (120, 140, 160)).frames):
        Image.fromarray(frame).save(folder/f"photo {i}.jpg", quality=92)

def given(run, count):
    "An avatar of photos: nothing is called a test, the photos were scored, nine directions are drawn; its reenactment says the same."
    from PIL import Image
    run, count = Path(run), int(count)
    summary = json.loads((run/"summary.json").read_text())
    assert summary["scored"] == "given pictures, which were trained on", summary
    assert summary["train/frames"] == summary["given/frames_scored"] == count, summary
    assert not any(k.startswith(("test/", "fit/", "train/psnr")) for k in summary), list(summary)
    low = dict(psnr=12, psnr_face=12, ssim=.5)
    assert all(summary[f"given/{k}"] > v for k, v in low.items()) and summary["given/psnr"] > summary["given/fit/psnr"], summary
    assert 0 < summary["given/lpips"] < .5, summary
    kept = {kind: sorted((run/"scored"/kind).iterdir()) for kind in ("truth", "render", "mask")}
    assert all(len(v) == count for v in kept.values()), kept
    truth, render = ([np_of(q) for q in kept[k]] for k in ("truth", "render"))
    again = sum(-10*math.log10(((a - b)**2).mean()) for a, b in zip(truth, render))/count
    assert abs(again - summary["given/psnr"]) < .01, (again, summary["given/psnr"])          # scored/ is what was scored
    with Image.open(run/"directions.png") as im: assert im.size == (9*summary["resolution"], summary["resolution"]), im.size
    driven = json.loads((run/"reenact-self"/"summary.json").read_text())
    assert driven["scored"] == summary["scored"] and "test/psnr" not in driven, driven
    assert abs(driven["given/psnr"] - summary["given/psnr"]) < 1e-3, driven

def np_of(path):
    "A picture as numbers in [0, 1]."
    import numpy as np
    from PIL import Image
    with Image.open(path) as im: return np.asarray(im, dtype=float)/255

def run_notebook(name, **parameters):
    "The code cells of a notebook in this process, with other parameters: where papermill's kernel would know nothing of a pretended GPU."
    import nbformat
    from IPython.display import display
    scope = {"__name__": "__main__", "display": display}
    for cell in nbformat.read(f"nbs/{name}.ipynb", 4).cells:
        if cell.cell_type != "code": continue
        exec(compile(cell.source, f"{name} {cell.id}", "exec"), scope)
        if "parameters" in cell.metadata.get("tags", []): scope |= parameters
    return scope

def pretend(folder, prior, data):
    "Both stages by launch, by the notebook with its scores, and an avatar of a photo, on a machine that believes it has a GPU."
    import time
    from gphm.testing.pretend_gpu import PretendGPU
    from gphm.testing.pretend_gsplat import gsplat_modules
    from gphm.testing.pretend_nvdiffrast import nvdiffrast_modules
    from gphm.training import launch
    folder = Path(folder); folder.mkdir(parents=True, exist_ok=True)
    short = {"guiding.steps": 6, "gaussian.steps": 6, "guiding.sdf_steps": 20, "auxiliary.warmup_steps": 4, "auxiliary.encoder_steps": 4,
             "handover_steps": 4, "encoder.steps": 2, "validate_every": 3, "save_every": 3}
    few = dict(preset="smoke", data_dir=data, device="cuda")
    avatar = dict(preset="smoke", device="cuda", data_dir=str(folder/"captures"))
    jobs = dict(launch=lambda: launch.launch([f"{k}={v}" for k, v in (few | short | dict(run_dir=folder/"launch")).items()]),
                train_gaussian=lambda: run_notebook("train_gaussian", **few, run_dir=str(folder/"notebook"), steps=6),
                photo=lambda: run_notebook("reconstruct_avatar", **avatar, prior=prior, source=str(folder/"photo 0.jpg"),
                                           run_dir=str(folder/"photo"), steps=20, resolution=64, consent="nobody is shown"),
                reenact=lambda: run_notebook("reenact", **avatar, avatar=str(folder/"photo")))
    photos(folder, 1)
    with PretendGPU(gsplat_modules, nvdiffrast_modules) as gpu:
        for name, job in jobs.items():
            start = time.perf_counter()
            try: job()
            except Exception as e: raise AssertionError(f"{name} stopped on a pretended GPU: {type(e).__name__}: {e}") from e
            print(f"{name}: {time.perf_counter() - start:.0f} s, {dict(gpu.counts)}", flush=True); gpu.counts.clear()
    for run in ("notebook", "photo"):
        summary = json.loads((folder/run/"summary.json").read_text())
        assert summary["device"].startswith("cuda") and summary["backend"] == "gsplat+nvdiffrast", summary
    given(folder/"photo", 1)

def wheel(site):
    "Every module of the installed wheel imports; the assets are those of the wheel."
    import importlib, pkgutil
    import gphm
    from gphm.core.base import asset
    from gphm.synth.shape.basis import HeadBasis
    found = Path(gphm.__file__), asset("head_basis.npz")
    assert all(p.is_relative_to(site) for p in found), found
    names = [m.name for m in pkgutil.walk_packages(gphm.__path__, "gphm.")]
    for name in names: importlib.import_module(name)
    assert (Path(gphm.__file__).parent/"py.typed").is_file(), "the wheel lacks gphm/py.typed"
    assert len(names) > 30 and HeadBasis.load().count > 1000 and len(gphm.load_prior().X_0) > 1000
    assert not any((Path(site)/n).exists() for n in ("nbs", "data", "assets")), "the wheel holds more than gphm and gphm_assets"

def bad(folder, run, data):
    "Make the broken inputs."
    import av, numpy as np
    from PIL import Image
    folder = Path(folder); folder.mkdir()
    for name in ("no-camera", "cut-image"): shutil.copytree(data, folder/name)
    subject = json.loads((folder/"no-camera"/"dataset.json").read_text())["subjects"][0]
    path = folder/"no-camera"/subject/"capture.json"
    capture = json.loads(path.read_text())
    del capture["cameras"][sorted(capture["cameras"])[-1]]
    path.write_text(json.dumps(capture))
    cut = lambda p: p.write_bytes(p.read_bytes()[:p.stat().st_size//2])
    cut(next(p for p in sorted((folder/"cut-image"/subject/"images").rglob("*")) if p.is_file()))
    shutil.copytree(run, folder/"damaged", ignore=shutil.ignore_patterns("guiding", "scored", "samples", "avatar", "reenact", "heads"))
    cut(folder/"damaged"/"checkpoint.safetensors")
    (folder/"text.mp4").write_text("this is not a video\n"*100)
    x = np.arange(128)
    with av.open(str(folder/"noface.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width = stream.height = 128; stream.pix_fmt = "yuv420p"
        for t in range(12):
            ramp = np.stack(np.broadcast_arrays(x[:, None]*2, x[None]*2, (x[None] + 8*t) % 256), -1).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(ramp, format="rgb24")))
        out.mux(stream.encode())
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)).save(folder/"cut.jpg")
    cut(folder/"cut.jpg")

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or ["static"]
    {f.__name__: f for f in (static, elsewhere, same, floors, example, video, photos, given, pretend, wheel, bad)}[name](*arguments)
