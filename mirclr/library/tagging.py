"""Heads applied to a library: which tags each track gets, how sure that is, and when nothing is said.

A head reads the vectors that the store holds, so tagging opens no file. Its calibration says what a confidence means
(mirclr.features.calibration); answers below the least confidence are not given. Numbers (moods) become tags in one of
two ways: a track gets the tag where it is confident enough that the true number is high, or, with `top`, where its
number is among the highest of this library, whatever that means in other music.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax

from mirclr.audio.tag_fields import check_field
from mirclr.errors import StoreError, UsageError
from mirclr.features.head_file import SavedHead, load_head
from mirclr.library.names import one_line
from mirclr.library.store import Contents, Library


@dataclass(frozen=True)
class Rule:
    """When an answer is given: at `min_confidence` (0..1; None: the head's own), or to the `top` share (0..1) of the
    library for each label."""

    min_confidence: float | None = None
    top: float | None = None


@dataclass(frozen=True)
class Answers:
    """What one head says of U sounds: `confidence` (U, K), None where it was never measured; `value` (U, K), the
    numbers themselves in their own unit, None for labels; `given` (U, K) bool. `least`: the least confidence, None
    where the library decides (`Rule.top`). `notes`: what a reader has to know."""

    field: str
    vocabulary: tuple[str, ...]
    confidence: np.ndarray | None
    value: np.ndarray | None
    given: np.ndarray
    least: float | None
    notes: tuple[str, ...]

    @property
    def strength(self) -> np.ndarray:
        """`(U, K)`: what labels are ordered by, the surest or the highest first."""
        found = self.confidence if self.confidence is not None else self.value
        assert found is not None
        return found

    def of(self, row: int) -> list[dict[str, Any]]:
        """What is given to a sound, the surest first: label, confidence and value."""
        order = np.argsort(-self.strength[row], kind="stable")
        return [self._answer(row, int(k)) for k in order if self.given[row, k]]

    def best(self, row: int) -> dict[str, Any]:
        """The surest answer, given or not."""
        return self._answer(row, int(self.strength[row].argmax()))

    def _answer(self, row: int, k: int) -> dict[str, Any]:
        parts = {"confidence": self.confidence, "value": self.value}
        rounded = {name: None if part is None else round(float(part[row, k]), 4) for name, part in parts.items()}
        return {"label": self.vocabulary[k], **rounded}


def read_heads(places: Sequence[Path], encoder: str, field: str | None = None) -> list[SavedHead]:
    """Heads for vectors of the encoder with this fingerprint; `field` renames what a single head answers.

    Raises CheckpointError on a head of another encoder, UsageError on one of frames, on labels that no tag can hold,
    and on two heads for one field.
    """
    if field is not None and len(places) != 1:
        raise UsageError("--field names what one head answers; give one --head with it")
    heads = [load_head(place, encoder) for place in places]
    for place, head in zip(places, heads, strict=True):
        check_field(field or head.field)
        if head.head.framewise:
            raise UsageError(f"{place}: answers for moments of a track, not for tracks; see `mirclr annotate`")
        odd = [label for label in head.vocabulary if one_line(label) != label or not label]
        if odd:
            raise UsageError(f"{place}: the label {odd[0]!r} is no tag: it is empty or not one line")
    fields = [field or head.field for head in heads]
    twice = sorted({name for name in fields if fields.count(name) > 1})
    if twice:
        raise UsageError(f"two heads answer {twice[0]}; give one of them, or tag twice with --field OTHER")
    return [SavedHead(h.head, h.vocabulary, h.encoder, f, h.calibration) for h, f in zip(heads, fields, strict=True)]


def ask(head: SavedHead, vectors: np.ndarray, rule: Rule) -> Answers:
    """What a head says of `(U, D)` track vectors of its encoder.

    Raises UsageError where the rule cannot be applied: a confidence that was never measured, or no confidence at which
    the head is right often enough.
    """
    with torch.inference_mode():
        outputs = head.head(torch.from_numpy(np.ascontiguousarray(vectors, np.float32)))
        numbers = head.head.task == "regression"
        value = head.head.scores(outputs).double().numpy() if numbers else None
    confidence, notes = _confidences(head, outputs.double().numpy())
    least = None if rule.top is not None else _least(head, rule)
    given = (
        _top(head, confidence if value is None else value, rule.top)
        if least is None
        else _sure(head, confidence, least)
    )
    return Answers(head.field, head.vocabulary, confidence, value, given, least, notes)


def _confidences(head: SavedHead, outputs: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    task = head.head.task
    if head.calibration is not None:
        return head.calibration.confidences(task, outputs), ()
    if task == "regression":
        return None, (f"{head.field}: a head without calibration: its numbers have no confidence",)
    plain = softmax(outputs, axis=1) if task == "multiclass" else expit(outputs)
    return plain, (f"{head.field}: a head without calibration: nobody has measured what its confidences mean",)


def _least(head: SavedHead, rule: Rule) -> float:
    known = head.calibration
    if rule.min_confidence is not None:
        if known is None and head.head.task == "regression":
            raise UsageError(f"{head.field}: a head without calibration has no confidences: use --top, or train-head")
        return rule.min_confidence
    if known is None:
        raise UsageError(
            f"{head.field}: a head without calibration does not know when to say nothing: give --min-confidence, or "
            "train one with `mirclr train-head`"
        )
    if known.min_confidence is None:
        raise UsageError(
            f"{head.field}: this head was never right in {known.precision:.0%} of the cases on artists it had not met: "
            "give --min-confidence and accept more mistakes, or --top for several labels or numbers"
        )
    return known.min_confidence


def _sure(head: SavedHead, confidence: np.ndarray | None, least: float) -> np.ndarray:
    """Every label at `least` confidence or above; of one label of several the surest alone."""
    assert confidence is not None
    given = confidence >= least
    if head.head.task == "multiclass":
        given &= np.arange(confidence.shape[1]) == confidence.argmax(axis=1)[:, None]
    return np.asarray(given)


def _top(head: SavedHead, strength: np.ndarray | None, top: float | None) -> np.ndarray:
    """For each label the `top` share of the sounds, at least one; equal ones in the library's order."""
    if head.head.task == "multiclass":
        raise UsageError(f"{head.field}: one label of several is given by --min-confidence; --top is for the others")
    assert strength is not None
    assert top is not None
    count = max(1, round(top * len(strength)))
    order = np.argsort(-strength, axis=0, kind="stable")[:count]
    given = np.zeros(strength.shape, bool)
    np.put_along_axis(given, order, True, axis=0)
    return given


@dataclass(frozen=True)
class TaggedLibrary:
    """`contents` of the store and the `answers` of every head, for its sounds."""

    contents: Contents
    answers: tuple[Answers, ...]

    def rows(self) -> list[dict[str, Any]]:
        """A row for every path and field: path, artist, title, field, `tags` (see `Answers.of`), `best`, the surest
        answer even where it is not given."""
        tracks = self.contents.tracks[["path", "artist", "title", "row"]].itertuples(index=False)
        return [
            {"path": path, "artist": artist, "title": title, "field": a.field, "tags": a.of(row), "best": a.best(row)}
            for path, artist, title, row in tracks
            for a in self.answers
        ]

    def summary(self) -> list[dict[str, Any]]:
        """Per field: how many sounds got a tag, and how many got each, the most frequent first."""
        rows = []
        for a in self.answers:
            counts = sorted(zip(a.given.sum(axis=0).tolist(), a.vocabulary, strict=True), key=lambda pair: -pair[0])
            told = ", ".join(f"{label} {count}" for count, label in counts if count)
            least = None if a.least is None else round(a.least, 3)
            some = int(a.given.any(axis=1).sum())
            rows.append({"field": a.field, "least": least, "tagged": some, "silent": len(a.given) - some, "tags": told})
        return rows


def tag_library(store: Path, places: Sequence[Path], rule: Rule, field: str | None = None) -> TaggedLibrary:
    """Ask the heads in `places` about every track of a store. Raises as `Library.open`, `read_heads` and `ask`."""
    with Library.open(store) as library:
        heads = read_heads(places, library.binding.fingerprint, field)
        contents = library.contents()
    if contents.tracks.empty:
        raise StoreError(f"{store}: the library is empty. Fill it with: mirclr index FOLDER --store {store}")
    return TaggedLibrary(contents, tuple(ask(head, contents.vectors, rule) for head in heads))
