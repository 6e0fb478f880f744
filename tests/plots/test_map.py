"""The map as data and as a page: places, neighbours, fields, groups, and text that stays text."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mirclr.audio.excerpt import excerpt
from mirclr.errors import AudioError, UsageError
from mirclr.evaluation.projection import MOST, PCA
from mirclr.library.query import Part, Question, answer
from mirclr.library.search import Catalogue
from mirclr.plots import map_sound
from mirclr.plots.map_data import GRID, NEIGHBOURS, lay_out, methods_for
from mirclr.plots.map_fields import Field, clusters, given_fields, in_order, table_fields
from mirclr.plots.map_page import SCRIPTS, WEB, harmless, login_page, map_page, page_script, served_page
from mirclr.reports import finish
from tests.support.library import catalogue_of, track_row

HOSTILE = "</script><!--<script>alert(1)//\u2028\u2029&"


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Forty tracks, their vectors in four heaps; one is hostile."""
    rng = np.random.default_rng(0)
    heaps = rng.normal(size=(4, 8)) * 4
    rows = [
        track_row(
            f"/music/{k:02}.wav", artist="A" if k % 2 else None, title=HOSTILE if k == 7 else f"t{k}", genre=f"g{k % 4}"
        )
        for k in range(40)
    ]
    return catalogue_of(tmp_path, rows, heaps[np.arange(40) % 4] + rng.normal(size=(40, 8)) * 0.3)


def test_neighbours_are_those_of_similar(catalogue: Catalogue) -> None:
    laid = finish(lay_out(catalogue, "x", [PCA]))
    for row in range(40):
        question = Question([Part("", catalogue.unit[row], rows=(row,))])
        hits = answer(catalogue, question, NEIGHBOURS, near=catalogue.correction())
        assert laid.neighbours[row].tolist() == [hit.row for hit in hits]
        assert laid.likeness[row].tolist() == pytest.approx([hit.similarity for hit in hits], abs=2e-6)


def test_places_are_the_projection_by_one_scale(catalogue: Catalogue) -> None:
    laid = finish(lay_out(catalogue, "x", [PCA])).layouts[PCA].astype(float)
    assert laid.min() == 0 or laid.max() == GRID
    axes = np.linalg.svd(catalogue.unit - catalogue.unit.mean(axis=0), full_matrices=False)[2][:2]
    true = (catalogue.unit - catalogue.unit.mean(axis=0)) @ axes.T
    ratio = np.ptp(laid, axis=0) / np.ptp(true, axis=0)
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-3)


def test_every_layout_keeps_heaps_apart_and_the_same_seed_the_same_map(catalogue: Catalogue) -> None:
    laid = finish(lay_out(catalogue, "x"))
    assert {PCA, "t-SNE"} <= set(laid.layouts)
    for places in laid.layouts.values():
        middles = np.array([places[heap::4].mean(axis=0) for heap in range(4)])
        nearest = np.linalg.norm(places[:, None] - middles[None], axis=2).argmin(axis=1)
        assert (nearest == np.arange(40) % 4).mean() > 0.9
    assert finish(lay_out(catalogue, "x")).as_json() == laid.as_json()


def test_many_tracks_are_placed_by_pca_alone_and_it_is_said() -> None:
    assert methods_for(MOST, [])[1] == []
    methods, said = methods_for(MOST + 1, [])
    assert methods == (PCA,)
    assert "--method t-SNE" in said[0]
    assert methods_for(MOST + 1, ["t-sne"]) == (("t-SNE",), [])


def test_the_layout_named_first_comes_first_and_of_our_own_choice_pca_comes_last(catalogue: Catalogue) -> None:
    assert list(finish(lay_out(catalogue, "x", ["t-SNE", "PCA"])).layouts) == ["t-SNE", "PCA"]
    assert list(finish(lay_out(catalogue, "x", ["PCA", "t-SNE"])).layouts) == ["PCA", "t-SNE"]
    assert list(finish(lay_out(catalogue, "x")).layouts)[-2:] == ["t-SNE", "PCA"]


def test_too_few_tracks_are_refused(tmp_path: Path) -> None:
    few = catalogue_of(tmp_path, [track_row(f"/{k}.wav") for k in range(3)], np.eye(3, 8))
    with pytest.raises(UsageError, match="at least 5"):
        finish(lay_out(few, "x"))


def test_groups_are_the_heaps_and_named_by_genre(catalogue: Catalogue) -> None:
    genres = catalogue.tracks["genre"].tolist()
    found = clusters(catalogue.unit, genres, 0).values
    assert len(set(found)) == 4
    by_genre = {
        genre: {value for value, own in zip(found, genres, strict=True) if own == genre} for genre in set(genres)
    }
    assert all(len(values) == 1 for values in by_genre.values())
    assert all(f"mostly {genre}" in next(iter(values)) for genre, values in by_genre.items())


def test_fields_are_what_is_known_and_numbers_stay_numbers() -> None:
    table = pd.DataFrame(
        {
            "path": ["a", "b"],
            "mood": pd.Series(["sad", None], dtype=object),
            "tempo": [120.456, float("nan")],
            "year": pd.array([1999, None], dtype="Int64"),
            "empty": pd.Series([None, None], dtype=object),
            "genre": pd.Series(["", "rock"], dtype=object),
        }
    )
    assert in_order(table_fields(table)) == [
        Field("genre", "words", (None, "rock")),
        Field("tempo", "number", (120.46, None)),
        Field("year", "number", (1999, None)),
        Field("mood", "words", ("sad", None)),
    ]
    words = Field("mood", "words", ("b", "a", None, "b")).plain()
    assert (words["names"], words["codes"]) == (["b", "a"], [0, 1, -1, 0])
    assert given_fields({"x": np.array([1.5, np.nan])}) == [Field("x", "number", (1.5, None))]


@given(st.text())
def test_no_text_can_end_the_block_of_data(text: str) -> None:
    data = json.dumps([text.encode("utf-8", "replace").decode()], ensure_ascii=False)
    escaped = harmless(data)
    assert json.loads(escaped) == json.loads(data)
    assert not set("<>&\u2028\u2029") & set(escaped)


def block(page: str, start: str, end: str) -> str:
    return page[page.index(start) + len(start) : page.index(end, page.index(start) + len(start))]


def test_the_page_holds_its_data_and_a_policy_of_its_own_hashes(catalogue: Catalogue) -> None:
    page = map_page(finish(lay_out(catalogue, "<b>&.db", [PCA])))
    data = json.loads(block(page, '<script type="application/json" id="data">', "</script>"))
    assert data["titles"][7] == HOSTILE
    assert data["root"] + data["files"][7] == "file:///music/07.wav"
    assert "<b>" not in page
    assert page.count("</script>") == 2
    policy = html.unescape(block(page, 'Content-Security-Policy" content="', '"'))
    for kind, start, end in (("script", "<script>", "</script>"), ("style", "<style>", "</style>")):
        digest = base64.b64encode(hashlib.sha256(block(page, start, end).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy


def test_pages_name_no_other_place() -> None:
    for page in (served_page("x"), login_page()):
        assert re.findall(r"(?:https?:)?//(?:www\.)?\w+\.\w+", re.sub(r"^\s*//.*$", "", page, flags=re.MULTILINE)) == []


def test_the_script_writes_text_and_never_markup() -> None:
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "</script")
    for source in (page_script(), (WEB / "login.js").read_text("utf-8")):
        assert [word for word in forbidden if word in source] == []
    assert {f"{name}.js" for name in SCRIPTS} | {"login.js"} == {path.name for path in WEB.glob("*.js")}


def test_an_excerpt_is_a_third_of_the_way_in_and_can_be_heard(tmp_path: Path) -> None:
    """Of twelve seconds the first four are a tone of 500 Hz and the rest one of 2000, which the excerpt holds alone."""
    rate = 22_050
    time = np.arange(12 * rate) / rate
    soundfile.write(
        tmp_path / "a.wav", 1.5 * np.sin(2 * np.pi * np.where(time < 4, 500, 2000) * time), rate, subtype="FLOAT"
    )
    samples, heard = soundfile.read(io.BytesIO(excerpt(tmp_path / "a.wav", 12.0, 2.0)))
    assert (heard, samples.ndim) == (rate, 1)
    assert len(samples) / rate == pytest.approx(2.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(2000, abs=5)
    assert np.abs(samples).max() < 1.05  # not clipped
    assert len(excerpt(tmp_path / "a.wav", None, 8.0)) < 8 * 40_000 / 8 * 1.1
    with pytest.raises(AudioError):
        excerpt(tmp_path / "gone.wav", 1.0, 1.0)


def test_previews_leave_out_what_cannot_be_heard_and_name_it(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    made = finish(map_sound.previews([track_row(str(tmp_path / name)) for name in ("a.wav", "gone.wav")]))
    assert made.uris[0].startswith("data:audio/mpeg;base64,")
    assert made.uris[1] == ""
    assert [row["reason"] for row in made.quarantine] == ["missing_file"]


def test_previews_of_too_many_tracks_are_refused_before_any_is_made() -> None:
    with pytest.raises(UsageError, match="mirclr serve"):
        next(map_sound.previews([track_row("/gone.wav")] * (map_sound.MOST + 1)))
