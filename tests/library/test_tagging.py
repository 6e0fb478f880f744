"""Heads asked about a library: who gets which tag, when nothing is said, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirclr.errors import CheckpointError, StoreError, UsageError
from mirclr.features.calibration import Calibration
from mirclr.features.head_file import DEFAULT_FIELDS, PLAN, SavedHead, load_head, save_head
from mirclr.library.store import Library
from mirclr.library.tag_table import read_tags_file, write_tags
from mirclr.library.tagging import Rule, ask, tag_library
from mirclr.models.task_head import TaskHead
from tests.support.library import Bands, fill, track_row

VOCABULARY = ("calm", "loud", "sad")
SURE = Calibration((1.0,) * 3, (0.0,) * 3, None, 0.8, 0.6)


def identity(task: str) -> TaskHead:
    """A head whose outputs are the first three values of a vector."""
    head = TaskHead(3, 3, task)
    with torch.no_grad():
        head.map[-1].weight.copy_(torch.eye(3) * (1 + 1e-5) ** 0.5)
    return head.eval()


def saved(task: str, calibration: Calibration | None = SURE, field: str = "mood") -> SavedHead:
    return SavedHead(identity(task), VOCABULARY, "f", field, calibration)


LOGITS = np.array([[3.0, 0, 0], [0.2, 0, 0.1], [-2, -2, 4], [1, 1, 1]], np.float32)


def test_one_label_of_several_is_the_surest_or_none() -> None:
    answers = ask(saved("multiclass"), LOGITS, Rule())
    assert [[a["label"] for a in answers.of(row)] for row in range(4)] == [["calm"], [], ["sad"], []]
    assert answers.confidence is not None
    np.testing.assert_allclose(answers.confidence.sum(axis=1), 1)
    assert answers.best(1)["label"] == "calm"
    assert [len(ask(saved("multiclass"), LOGITS, Rule(0.0)).of(row)) for row in range(4)] == [1, 1, 1, 1]


def test_several_labels_come_surest_first() -> None:
    answers = ask(saved("multilabel"), np.array([[1.0, 3, -1]], np.float32), Rule(0.5))
    assert [a["label"] for a in answers.of(0)] == ["loud", "calm"]
    assert answers.of(0)[0]["confidence"] == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-4)


def test_numbers_by_confidence_or_by_their_place_in_the_library() -> None:
    head = saved("regression", Calibration((2.0,) * 3, (-1.0,) * 3, (4.0, 4.0, 4.0), 0.8, 0.6))
    sure = ask(head, LOGITS, Rule())
    assert [[a["label"] for a in sure.of(row)] for row in range(4)] == [["calm"], [], ["sad"], list(VOCABULARY)]
    assert sure.value is not None
    np.testing.assert_allclose(sure.value, LOGITS, atol=1e-5)
    top = ask(head, LOGITS, Rule(top=0.5))
    assert top.given.sum(axis=0).tolist() == [2, 2, 2]
    assert top.given[:, 0].tolist() == [True, False, False, True]
    bare = ask(saved("regression", None), LOGITS, Rule(top=0.01))
    assert bare.given.sum(axis=0).tolist() == [1, 1, 1]
    assert (bare.confidence, bare.of(2)[0]["confidence"]) == (None, None)
    assert "numbers have no confidence" in bare.notes[0]


@pytest.mark.parametrize(
    ("head", "rule", "said"),
    [
        (saved("multiclass", None), Rule(), "does not know when to say nothing: give --min-confidence"),
        (saved("multiclass", Calibration((1.0,) * 3, (0.0,) * 3)), Rule(), "never right in 80% of the cases"),
        (saved("multiclass"), Rule(top=0.1), "--top is for the others"),
        (saved("regression", None), Rule(0.5), "has no confidences: use --top"),
    ],
)
def test_rules_that_cannot_be_applied_say_what_to_do(head: SavedHead, rule: Rule, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(head, LOGITS, rule)


def library(folder: Path, rows: list[dict[str, Any]], vectors: np.ndarray) -> Path:
    with Library.open_or_create(folder / "l.db", Bands(dim=3)) as store:
        fill(store, rows, vectors)
    return folder / "l.db"


def head_in(folder: Path, name: str, task: str = "multiclass", encoder: str | None = None, **more: Any) -> Path:
    more = {"calibration": SURE, "field": "mood"} | more
    vocabulary = more.pop("vocabulary", VOCABULARY)
    save_head(folder / name, identity(task), vocabulary, encoder or Bands(dim=3).fingerprint, **more)
    return folder / name


def test_copies_of_a_sound_get_the_same_tags_and_every_field_a_row(tmp_path: Path) -> None:
    rows = [track_row(f"/{n}.wav") for n in range(4)] + [track_row("/copy.wav", audio="/2.wav")]
    store = library(tmp_path, rows, np.vstack([LOGITS, LOGITS[2]]))
    heads = [head_in(tmp_path, "a"), head_in(tmp_path, "b", field="genre")]
    found = tag_library(store, heads, Rule()).rows()
    assert [(row["path"], row["field"]) for row in found][:2] == [("/0.wav", "mood"), ("/0.wav", "genre")]
    tags = {row["path"]: [tag["label"] for tag in row["tags"]] for row in found if row["field"] == "mood"}
    assert tags == {"/0.wav": ["calm"], "/1.wav": [], "/2.wav": ["sad"], "/3.wav": [], "/copy.wav": ["sad"]}
    (row, _) = tag_library(store, heads, Rule()).summary()
    assert (row["tagged"], row["silent"], row["tags"]) == (2, 2, "calm 1, sad 1")


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"encoder": "other"}, CheckpointError, "another encoder"),
        ({"field": "artist"}, UsageError, "says who made what"),
        ({"vocabulary": ("a", "b\nc", "d")}, UsageError, r"the label 'b\\nc' is no tag"),
    ],
)
def test_heads_that_cannot_tag_are_refused(more: dict[str, Any], error: type, said: str, tmp_path: Path) -> None:
    store = library(tmp_path, [track_row("/0.wav")], LOGITS[:1])
    with pytest.raises(error, match=said):
        tag_library(store, [head_in(tmp_path, "a", **more)], Rule())


def test_an_empty_library_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the library is empty"):
        tag_library(library(tmp_path, [], LOGITS[:0]), [head_in(tmp_path, "a")], Rule())


def test_two_heads_for_one_field_need_another_name(tmp_path: Path) -> None:
    store = library(tmp_path, [track_row("/0.wav")], LOGITS[:1])
    heads = [head_in(tmp_path, "a"), head_in(tmp_path, "b")]
    with pytest.raises(UsageError, match="two heads answer mood"):
        tag_library(store, heads, Rule())
    (row,) = tag_library(store, heads[:1], Rule(), field="mood_by_ear").rows()
    assert row["field"] == "mood_by_ear"


def test_heads_say_their_field_and_older_ones_have_that_of_their_task(tmp_path: Path) -> None:
    place = head_in(tmp_path, "a", field=None, calibration=None)
    about = json.loads((place / PLAN).read_text())
    del about["field"], about["calibration"]
    (place / PLAN).write_text(json.dumps(about))
    assert (load_head(place).field, load_head(place).calibration) == (DEFAULT_FIELDS["multiclass"], None)
    (place / PLAN).write_text(json.dumps({**about, "calibration": {"scale": [1]}}))
    with pytest.raises(CheckpointError, match="does not fit the head"):
        load_head(place)


ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(artist=ANY, title=ANY, label=ANY.filter(bool), path=ANY)
def test_tables_hold_any_text(artist: str, title: str, label: str, path: str, tmp_path: Path) -> None:
    tag = {"label": label, "confidence": 0.5, "value": None}
    rows = [{"path": path, "artist": artist, "title": title, "field": "mood", "tags": [tag], "best": tag}]
    write_tags(tmp_path / "t.json", rows)
    assert read_tags_file(tmp_path / "t.json") == rows
    write_tags(tmp_path / "t.csv", rows)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "t.csv").read_bytes().decode(), newline=""))
    assert row["tags"].removeprefix("'") == label.removeprefix("'")
    assert not row["artist"].startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "mirclr tags", "version": 1, "tracks": [1]}'])
def test_another_file_is_no_table_of_tags(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(UsageError, match="not a table of tags"):
        read_tags_file(tmp_path / "t.json")
    with pytest.raises(UsageError, match="no table format"):
        write_tags(tmp_path / "t.xlsx", [])
