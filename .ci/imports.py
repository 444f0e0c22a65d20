#!/usr/bin/env python3
"""Import rules: a room imports only from rooms above it, modules form no circle, private names stay private, a public name exists once.

`python .ci/imports.py` checks gphm/ and the notebooks; `--exceptions` prints today's breaches as rows of ALLOWED;
`--picture FILE.png` draws who imports whom."""
import ast, json, re, sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The one table of the order: each row holds rooms of one height (names with a space between) and what they are for. A room is a folder of
# gphm/, or one module (`evaluation.metrics`) that stands elsewhere than its folder.
ROOMS = [
    ("core", "paths, files, errors, configuration: everyone uses these"),
    ("provenance", "consent, marks, deletion"),
    ("geometry", "cameras, poses, meshes, landmarks"),
    ("rendering", "Gaussians and meshes become images, on a CPU or a GPU"),
    ("capture", "pictures and videos in and out; the data contract"),
    ("synth", "people who do not exist"),
    ("datasets", "NeRSemble, VFHQ, MEAD, NPHM, FaceVerse: what a user adds to"),
    ("tracking", "landmarks, mattes, fitting: a video, photos or a dataset becomes a capture"),
    ("model", "the head model: section 3.2 of the paper"),
    ("evaluation", "metrics, likeness, expression of pictures: a training and an avatar score themselves"),
    ("training", "losses, batches, the loop, checkpoints: sections 3.3 and 3.4"),
    ("avatar", "from a video to an avatar that moves: section 3.5"),
    ("baselines", "the other systems of Tables II and III"),
    ("apps", "viewer, live, explore, export"),
    ("experiments", "what tables and figures share; nothing imports it"),
    ("testing", "doubles for tests; nothing imports it"),
]
HEIGHT = {room: i for i, (names, _) in enumerate(ROOMS) for room in names.split()}
OPEN = {"__init__", "__main__", "cli", "api"}            # the package's own front, which may import everything

# Breaches that are known. Key: (importing module, imported module or module.private name); value: why it is so today. Take a row out when
# it is mended.
ALLOWED = {
    ("experiments.live_accuracy", "testing.rehearsal"):
        "measures on a person whose truth is known; the double could be handed in by the notebook",
    ("tracking.make_capture", "testing.rehearsal"): "without a source, the notebook and the command show themselves on a synthetic clip",
    ("experiments.tracking_accuracy", "testing.filming"):
        "measures on a person whose truth is known; the double could be handed in by the notebook",
}

# Public names that exist twice, and why. Take a name out when it is mended.
TWICE: dict[str, str] = {}

def modules() -> dict[str, Path]:
    "Names below gphm, `model.head`, and their files."
    found = {p: ".".join(p.relative_to(ROOT/"gphm").with_suffix("").parts) for p in sorted((ROOT/"gphm").rglob("*.py"))}
    return {n.removesuffix(".__init__"): p for p, n in found.items() if p.name != "_modidx.py"}

def imports(tree: ast.AST, own: str, is_package: bool, known) -> set[tuple[str, str]]:
    "(module, name) of everything a tree imports from gphm, inside functions too; name is '' for a whole module."
    out, here = set(), own.split(".") if own != "__init__" else []
    if not is_package: here = here[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): out |= {(a.name.removeprefix("gphm."), "") for a in node.names if a.name.startswith("gphm.")}
        if not isinstance(node, ast.ImportFrom): continue
        if node.level: base = here[:len(here) - node.level + 1] + (node.module.split(".") if node.module else [])
        elif node.module and node.module.split(".")[0] == "gphm": base = node.module.split(".")[1:]
        else: continue
        for a in node.names:
            whole = ".".join([*base, a.name])
            out.add((whole, "") if whole in known else (".".join(base), a.name))
    return {(m, n) for m, n in out if m in known}

def graph() -> dict[str, set[tuple[str, str]]]:
    "What each module imports: {module: {(module, name)}}."
    known = modules()
    return {n: imports(ast.parse(p.read_text(encoding="utf-8")), n, p.name == "__init__.py", known) - {(n, "")} for n, p in known.items()}

def room(module: str) -> str:
    "The longest beginning of a module's name that the table has, else its folder."
    parts = module.split(".")
    return next((r for r in (".".join(parts[:k]) for k in range(len(parts), 0, -1)) if r in HEIGHT), parts[0])

def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    "Groups of modules that import one another (strongly connected, by Tarjan's algorithm)."
    index, low, stack, out = {}, {}, [], []
    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(edges.get(v, ())):
            if w not in index: visit(w); low[v] = min(low[v], low[w])
            elif w in stack: low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            group = stack[stack.index(v):]
            del stack[stack.index(v):]
            if len(group) > 1: out.append(sorted(group))
    for v in sorted(edges):
        if v not in index: visit(v)
    return out

def private(name: str) -> bool: return name.startswith("_") and not name.startswith("__")

def notebook_privates(known) -> list[tuple[str, str]]:
    "Private names that notebooks import from another room than their own."
    out = []
    for path in sorted((ROOT/"nbs").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts: continue
        own = ".".join(path.relative_to(ROOT/"nbs").with_suffix("").parts)
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] != "code" or not re.search(r"(?m)^\s*from gphm\S* import .*\b_", source): continue
            try: tree = ast.parse(re.sub(r"(?m)^\s*[%!].*$", "pass", source))
            except SyntaxError: continue
            out += [(f"nbs/{own}", f"{m}.{n}") for m, n in imports(tree, own, False, known) if private(n) and m != own]
    return out

def twice() -> dict[str, list[str]]:
    "Public names that more than one module has in its `__all__`, and these modules; the package's front hands on the names of others."
    found = {}
    for module, path in modules().items():
        if room(module) in OPEN: continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                for name in ast.literal_eval(node.value): found.setdefault(name, []).append(module)
    return {name: where for name, where in found.items() if len(where) > 1}

def breaches() -> dict[tuple[str, str], str]:
    "{(importing, imported): what is wrong}."
    found, known, uses = {}, modules(), graph()
    for module, used in uses.items():
        if room(module) not in HEIGHT and room(module) not in OPEN: found[module, ""] = f"room {room(module)!r} is not in ROOMS"
        for other, name in sorted(used):
            if private(name): found[module, f"{other}.{name}"] = "a private name of another room"
            if room(other) in OPEN and room(module) not in OPEN: found[module, other] = "the front of the package is imported"
            elif HEIGHT.get(room(other), -1) > HEIGHT.get(room(module), 99):
                found[module, other] = f"{room(other)} comes after {room(module)} in ROOMS"
            elif room(other) == "testing" != room(module): found[module, other] = "a test double in the library"
    for group in circles({m: {o for o, _ in used} for m, used in uses.items()}):
        inner = [(a, b) for a in group for b, _ in uses[a] if b in group and (a, b) not in found]
        for a, b in inner: found[a, b] = f"part of a circle of {len(group)}: {' '.join(group)}"
    return found | {(a, b): "a notebook uses a private name of another room" for a, b in notebook_privates(known)
                    if (a.removeprefix("nbs/"), b) not in found}

def picture(path: str):
    "A dot where the room of a row imports the room of a column; allowed dots lie left of the diagonal. Numbers count imports of modules."
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    uses = graph()
    rooms = sorted({room(m) for m in uses} & set(HEIGHT), key=HEIGHT.get)
    counts = Counter((room(m), room(o)) for m, used in uses.items() for o in {o for o, _ in used})
    fig, ax = plt.subplots(figsize=(.5*len(rooms) + 1.5, .5*len(rooms) + 1.5))
    for i, a in enumerate(rooms):
        for j, b in enumerate(rooms):
            if not counts[a, b] or a == b: continue
            bad = HEIGHT[b] > HEIGHT[a]
            ax.scatter(j, i, s=260, color="tab:red" if bad else "tab:blue", alpha=.75)
            ax.text(j, i, counts[a, b], ha="center", va="center", color="white", fontsize=8)
    ax.plot([-.5, len(rooms) - .5], [-.5, len(rooms) - .5], color=".8", lw=1, zorder=0)
    ax.set_xticks(range(len(rooms)), rooms, rotation=90); ax.set_yticks(range(len(rooms)), rooms)
    ax.set_xlim(-.5, len(rooms) - .5); ax.set_ylim(len(rooms) - .5, -.5)
    ax.set_xlabel("is imported"); ax.set_ylabel("imports"); ax.xaxis.tick_top(); ax.xaxis.set_label_position("top")
    fig.savefig(path, dpi=110, bbox_inches="tight")

def main():
    if "--picture" in sys.argv: return picture(sys.argv[sys.argv.index("--picture") + 1])
    found = breaches()
    if "--exceptions" in sys.argv:
        for key, why in sorted(found.items()): print(f'    ("{key[0]}", "{key[1]}"): "{ALLOWED.get(key, why)}",')
        return
    new = {k: v for k, v in found.items() if k not in ALLOWED}
    mended = [k for k in ALLOWED if k not in found]
    for (a, b), why in sorted(new.items()): print(f"{a} imports {b}: {why}")
    double = twice()
    many, single = {n: w for n, w in double.items() if n not in TWICE}, [n for n in TWICE if n not in double]
    for n, where in sorted(many.items()): print(f"{n} is a public name of {' and of '.join(where)}: give each its own")
    for n in single: print(f"{n} is a public name of one module now: take it out of TWICE in .ci/imports.py")
    for a, b in mended: print(f"{a} no longer imports {b}: take the row out of ALLOWED in .ci/imports.py")
    print(f"{len(modules())} modules, {len(new)} breaches, {len(ALLOWED) - len(mended)} allowed exceptions, "
          f"{len(mended)} exceptions that are mended, "
          f"{len(double)} public names twice, {len(many)} of them new")
    if new or mended or many or single: sys.exit(1)

if __name__ == "__main__": main()
