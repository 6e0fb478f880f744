"""The plan of the house as data, and one function per rule: source in, places where the rule is broken out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mirclr"

# A recipe does what a command does, figures included, so it stands on plots, as the server does with its page. The
# doctor looks into every room without being one: it stands right under the door, and nothing stands on it.
FLOORS = {
    8: ("cli",),
    7: ("recipes", "doctor", "server"),
    6: ("plots",),
    5: ("library", "evaluation", "training"),
    4: ("datasets", "features"),
    3: ("models", "losses", "augment", "events"),
    2: ("audio",),
    1: ("compiled", "config", "units", "seeds", "errors", "reports", "files", "tables", "memory"),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
FACES = {
    **dict.fromkeys(("click", "rich", "tqdm"), "cli"),
    **dict.fromkeys(("matplotlib", "plotly", "jinja2"), "plots"),
    "librosa": "compiled",
    **dict.fromkeys(("fastapi", "starlette", "uvicorn"), "server"),
}
# What floor 3 must not know: files, progress, configuration objects (`nearest`, a function on words, is no object).
NOT_FOR_TENSORS = {"pathlib", "mirclr.reports"}
CODE_FROM_DATA = {"eval", "exec", "os.system", "os.popen", "torch.load", "joblib.load"}
LONGEST_FILE, LONGEST_FUNCTION = 350, 40


@dataclass(frozen=True)
class Source:
    """One file of the package: `name` relative to the package's folder, `room` the first part of its name."""

    name: str
    text: str

    @property
    def room(self) -> str:
        return Path(self.name).parts[0].removesuffix(".py")

    @property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))


def sources() -> list[Source]:
    """Every Python file of the package."""
    return [Source(str(p.relative_to(PACKAGE)), p.read_text("utf-8")) for p in sorted(PACKAGE.rglob("*.py"))]


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import at any depth; `from mirclr import audio` is `mirclr.audio`."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = Path("mirclr", source.name).parent.parts[: -(node.level - 1) or None] if node.level else ()
            base = ".".join([*inside, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _upward(room: str, target: str) -> bool:
    """Ground-floor modules are one room; every other room may import only from floors below its own."""
    if target == room or FLOOR_OF[room] == FLOOR_OF[target] == 1:
        return False
    return FLOOR_OF[target] >= FLOOR_OF[room]


def broken_layers(source: Source) -> list[str]:
    """Imports that do not go down, and rooms that are not on the plan."""
    if source.name == "__init__.py":
        return [f"{source.name}:{line} imports {name}" for line, name in imports(source) if name.startswith("mirclr.")]
    if source.name == "__main__.py":  # `python -m mirclr` opens the door and does nothing else
        return [
            f"{source.name}:{line} imports {n}"
            for line, n in imports(source)
            if n.startswith("mirclr.") and "cli" not in n
        ]
    if source.room not in FLOOR_OF:
        return [f"{source.name}: room {source.room!r} is on no floor of the plan"]
    found = []
    for line, name in imports(source):
        parts = name.split(".")
        if parts[0] == "mirclr" and parts[1:] not in ([], ["__version__"]) and _upward(source.room, parts[1]):
            found.append(f"{source.name}:{line} {source.room} imports {name}")
    return found


def broken_faces(source: Source) -> list[str]:
    """Terminal and figure libraries outside their one room; print outside the door."""
    found = [
        f"{source.name}:{line} imports {name}"
        for line, name in imports(source)
        if FACES.get(name.split(".")[0], source.room) != source.room
    ]
    calls = [n for n in source.nodes if isinstance(n, ast.Call) and ast.unparse(n.func) == "print"]
    return found + [f"{source.name}:{n.lineno} print" for n in calls if source.room != "cli"]


def broken_tensor_floor(source: Source) -> list[str]:
    """Floor 3 sees tensors: never a path, a configuration object or a progress report."""
    if FLOOR_OF.get(source.room) != 3:
        return []
    return [
        f"{source.name}:{line} imports {name}"
        for line, name in imports(source)
        if any(f"{name}.".startswith(f"{banned}.") for banned in NOT_FOR_TENSORS)
        or (name.startswith("mirclr.config.") and name.split(".")[2][:1].isupper())
    ]


def _runs_data(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in {"shell", "allow_pickle"} and ast.unparse(node.value) != "False"
    return isinstance(node, ast.Call) and ast.unparse(node.func) in CODE_FROM_DATA


def broken_safety(source: Source) -> list[str]:
    """Whatever could run code out of a file or through a shell."""
    found = [f"{source.name}:{getattr(n, 'lineno', 0)} {ast.unparse(n)[:60]}" for n in source.nodes if _runs_data(n)]
    pickles = {"pickle", "dill", "shelve", "marshal"}
    return found + [
        f"{source.name}:{at} imports {name}" for at, name in imports(source) if name.split(".")[0] in pickles
    ]


def broken_errors(source: Source) -> list[str]:
    """`except Exception` (or barer) that does not raise again."""
    found = []
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or {"Exception", "BaseException"} & set(
                ast.unparse(node.type).strip("()").split(", ")
            )
            if broad and not any(isinstance(n, ast.Raise) for n in ast.walk(node)):
                found.append(f"{source.name}:{node.lineno} catches everything and goes on")
    return found


def _own_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    doc = ast.get_docstring(node, clean=False)
    return (node.end_lineno or node.lineno) - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)


def broken_size(source: Source) -> list[str]:
    """Files and functions too long to read in one sitting; files that do not say what they are."""
    found = []
    lines = source.text.count("\n")
    if lines > LONGEST_FILE:
        found.append(f"{source.name}: {lines} lines, at most {LONGEST_FILE}")
    if source.text.strip() and not ast.get_docstring(ast.parse(source.text)):
        found.append(f"{source.name}: no header docstring")
    functions = [n for n in source.nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f for f in functions if _own_lines(f) > LONGEST_FUNCTION]
    return found + [
        f"{source.name}:{f.lineno} {f.name}: {_own_lines(f)} lines, at most {LONGEST_FUNCTION}" for f in long
    ]


RULES = (broken_layers, broken_faces, broken_tensor_floor, broken_safety, broken_errors, broken_size)
