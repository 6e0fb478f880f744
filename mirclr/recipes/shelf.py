"""Where recipes are found: a file of your own, or by name among those that come with mirclr."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import mirclr
from mirclr.config import nearest
from mirclr.errors import UsageError

# Known to be there: a folder called `recipes` beside the package may belong to somebody else.
FIRST = "demo.yaml"


def shipped_folder() -> Path:
    """The recipes that came with mirclr: `recipes/` at the top of a checkout, under share/mirclr when installed.

    Raises UsageError when they are in neither place.
    """
    checkout = Path(mirclr.__file__).resolve().parents[1] / "recipes"
    installed = (Path(str(file.locate())).resolve() for file in importlib.metadata.files("mirclr") or ())
    for file in (checkout / FIRST, *(f for f in installed if f.parts[-4:] == ("share", "mirclr", "recipes", FIRST))):
        if file.is_file():
            return file.parent
    raise UsageError("no recipes came with this installation of mirclr: give the path of a recipe file")


def shipped() -> dict[str, Path]:
    """Name to file of every recipe that came with mirclr."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def find(name_or_file: str) -> Path:
    """The file of a recipe. Raises UsageError with the nearest name when there is none."""
    known = shipped()
    if name_or_file in known:
        return known[name_or_file]
    path = Path(name_or_file).expanduser()
    if path.is_file():
        return path
    raise UsageError(f"no recipe and no file {name_or_file!r}.{nearest(name_or_file, known)}")
