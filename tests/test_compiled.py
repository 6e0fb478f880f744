"""librosa is imported by one process at a time, and all the same where no lock can be had."""

from __future__ import annotations

import fcntl
import importlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mirclr import compiled


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the lock of this test lies; what was imported before is asked for anew."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    compiled.librosa.cache_clear()
    yield tmp_path / f"mirclr-compiles-{os.getuid()}.lock"
    compiled.librosa.cache_clear()


def held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_whatever_compiles_is_imported_under_the_lock(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, load = {}, importlib.import_module

    def watched(name: str, package: str | None = None) -> ModuleType:
        seen[name] = held(lock)
        return load(name, package)

    monkeypatch.setattr(importlib, "import_module", watched)
    package = compiled.librosa("librosa.beat")
    assert package.__name__ == "librosa"
    assert seen.keys() >= {*compiled.AT_IMPORT, "librosa.beat", "librosa"}
    assert all(seen.values())
    assert not held(lock)


def test_every_function_that_compiles_at_import_is_in_a_module_that_is_named() -> None:
    """A newer librosa may have more of them, and then they would be compiled outside the lock."""
    folder = Path(compiled.librosa().__file__).parent
    texts = {path.relative_to(folder.parent).with_suffix(""): path.read_text("utf-8") for path in folder.rglob("*.py")}
    compiling = {".".join(path.parts) for path, text in texts.items() if "guvectorize(" in text}
    assert compiling == {*compiled.AT_IMPORT, "librosa.beat"}


@pytest.mark.parametrize("kind", ["no folder", "a link"])
def test_without_a_lock_it_is_imported_all_the_same(lock: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = lock.parent / "somebody's"
    if kind == "a link":
        lock.symlink_to(target)
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(target))
    assert compiled.librosa().feature.rms(y=np.ones(4096, np.float32)).max() > 0.9
    assert not target.exists()
