"""Links are followed once, loops and closed doors are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mirclr.audio.walk import list_rows


def names(files: list[Path], root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in files]


def test_a_linked_folder_elsewhere_is_entered_once(tmp_path: Path) -> None:
    (tmp_path / "other" / "sub").mkdir(parents=True)
    (tmp_path / "other" / "sub" / "x").touch()
    (tmp_path / "here").mkdir()
    for name in ("one", "two"):
        (tmp_path / "here" / name).symlink_to(tmp_path / "other")
    files, rows = list_rows([tmp_path / "here"])
    assert names(files, tmp_path) == ["here/one/sub/x"]
    assert rows == []


def test_a_file_found_through_a_link_too_keeps_its_real_name(tmp_path: Path) -> None:
    (tmp_path / "z real").mkdir()
    (tmp_path / "z real" / "x").touch()
    (tmp_path / "a link").symlink_to(tmp_path / "z real")
    files, rows = list_rows([tmp_path])
    assert names(files, tmp_path) == ["z real/x"]
    assert rows == []


def test_links_that_lead_back_end_and_are_told(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").touch()
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    files, rows = list_rows([tmp_path])
    assert names(files, tmp_path) == ["a/b/x"]
    assert [(os.path.relpath(r["path"], tmp_path), r["reason"]) for r in rows] == [
        ("a/b/up", "symlink_loop"),
        ("a/self", "symlink_loop"),
    ]


def test_two_linked_folders_that_link_to_each_other(tmp_path: Path) -> None:
    for name, other in (("p", "q"), ("q", "p")):
        (tmp_path / "far" / name).mkdir(parents=True)
        (tmp_path / "far" / name / f"in {name}").touch()
        (tmp_path / "far" / name / "next").symlink_to(tmp_path / "far" / other)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "p").symlink_to(tmp_path / "far" / "p")
    files, _ = list_rows([tmp_path / "here"])
    assert [path.name for path in files] == ["in p", "in q"]


def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "x").touch()
    listing = os.scandir

    def refuse(folder: str) -> Any:
        if os.path.basename(folder) == "locked":
            raise PermissionError(13, "Permission denied", folder)
        return listing(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # file modes do not stop root
    files, rows = list_rows([tmp_path])
    assert names(files, tmp_path) == ["open/x"]
    assert rows == [{"path": str(tmp_path / "locked"), "reason": "folder_unreadable", "detail": "Permission denied"}]


def test_a_thousand_nested_folders(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(300):
        folder = folder / "d"
        folder.mkdir()
    (folder / "x").touch()
    files, _ = list_rows([tmp_path])
    assert len(files) == 1


def test_the_order_is_that_of_the_bytes(tmp_path: Path) -> None:
    for name in ("b", "B", "é", "a/z", "a.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files, _ = list_rows([tmp_path])
    assert names(files, tmp_path) == ["B", "a.x", "a/z", "b", "é"]
