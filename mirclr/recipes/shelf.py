"""Where recipes are found: a file of your own, or by name among those that come with mirclr."""

from __future__ import annotations

from pathlib import Path

from mirclr.config import nearest
from mirclr.errors import UsageError


def shipped_folder() -> Path:
    """The recipes that came with mirclr: beside this file when installed, `recipes/` at the top of a checkout."""
    inside = Path(__file__).with_name("shipped")
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "recipes"


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
