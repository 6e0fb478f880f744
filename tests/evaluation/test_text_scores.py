"""The card and the sentences of what text finds: intervals over artists, and honesty when it finds nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mirclr.evaluation.text_scores import COLUMNS, score_text


@dataclass
class Given:
    """Answers with a known share of pairs in order."""

    ahead: np.ndarray
    groups: np.ndarray
    candidates: int = 40
    shown: dict[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        shares = {f"{who}r{k}": 0.1 * k for who in ("", "chance_") for k in (1, 5, 10)}
        return {**shares, "median_rank": 3.0, "chance_median_rank": 20.0, "ahead": float(self.ahead.mean())}


def answers(middle: float, artists: int = 20, each: int = 3, spread: float = 0.1) -> Given:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(artists), each)
    return Given(np.clip(middle + spread * rng.standard_normal(len(groups)), 0, 1), groups)


@pytest.mark.parametrize(
    ("middle", "said"),
    [(0.8, "Text finds held-out"), (0.5, "Text does not find held-out"), (0.2, "Text does not find held-out")],
)
def test_the_sentence_follows_the_interval(middle: float, said: str) -> None:
    scores = score_text({"text": answers(middle)}, {})
    assert scores.sentences[0].startswith(f"{said} music better than chance: of a right and a wrong track")
    assert scores.whole[0].low < scores.whole[0].numbers["ahead"] < scores.whole[0].high


def test_the_interval_is_over_artists_not_over_tracks() -> None:
    """All tracks of an artist alike: as many artists say as much as one track of each."""
    rng = np.random.default_rng(0)
    each = rng.random(12)
    one = score_text({"text": Given(each, np.arange(12))}, {}).whole[0]
    many = score_text({"text": Given(np.repeat(each, 50), np.repeat(np.arange(12), 50))}, {}).whole[0]
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_few_artists_prove_nothing_and_no_held_out_track_is_said_to_be_none() -> None:
    few = score_text({"text": answers(0.9, artists=3)}, {})
    assert "cannot be judged by 3 held-out artists" in few.sentences[0]
    assert not few.whole[0].better
    assert score_text({}, {}).sentences == (
        "No track was held out: whether it finds music that it was not trained on is not known.",
    )


def test_card_fields_and_file(tmp_path: Path) -> None:
    scores = score_text({"text": answers(0.8), "lyrics": answers(0.7)}, {"genre": answers(0.9), "artist": answers(0.5)})
    card = scores.card()
    assert [row["asked by"] for row in card] == ["text, all fields", "lyrics", "genre alone", "artist alone"]
    assert tuple(card[0]) == COLUMNS
    assert card[0]["R@5"] == "50.0 % (50.0 %)"
    assert card[0]["median rank"] == "3 (20) of 40"
    assert scores.sentences[-1] == (
        "Field by field, held-out music is found better than chance by genre; not better than chance by artist."
    )
    scores.write(tmp_path / "held_out.json")
    written = json.loads((tmp_path / "held_out.json").read_text())
    assert written["fields"]["genre"]["better"] is True
    assert written["whole"]["text"]["numbers"]["median_rank"] == 3.0
