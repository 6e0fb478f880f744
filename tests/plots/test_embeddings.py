"""Embeddings in the plane: the places are those of the method, the colours those of the tags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mirclr.audio.synth_catalogue import make_collection
from mirclr.cli.main import main
from mirclr.errors import UsageError
from mirclr.evaluation.neighbours import unit
from mirclr.evaluation.probes import Standardiser
from mirclr.evaluation.projection import MOST, PCA, TSNE, chosen_methods, methods, project, sampled
from mirclr.features.vector_file import write_vectors
from mirclr.plots.embeddings import MOST_VALUES, OTHER, UNKNOWN, draw_embeddings, shown_values, target_tags
from mirclr.plots.tagged import tags_from_files, tags_from_table
from mirclr.reports import finish
from mirclr.seeds import generator

LABELS = np.repeat([0, 1], 20)


def two_groups() -> np.ndarray:
    """`(40, 8)`: two groups far apart."""
    return generator(60).normal(size=(40, 8)) + 12 * LABELS[:, None]


def test_pca_is_that_of_scikit_learn_up_to_signs() -> None:
    from sklearn.decomposition import PCA as Oracle

    vectors = two_groups()
    expected = Oracle(2).fit_transform(unit(Standardiser.fitted(vectors)(vectors)))
    np.testing.assert_allclose(np.abs(project(vectors, PCA)), np.abs(expected), atol=1e-10)


@pytest.mark.parametrize("method", methods())
def test_neighbours_stay_together_and_the_seed_decides_the_picture(method: str) -> None:
    places = project(two_groups(), method, 3)
    distance = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(40, np.inf))
    assert (LABELS[distance.argmin(axis=1)] == LABELS).all()
    np.testing.assert_array_equal(project(two_groups(), method, 3), places)


def test_vectors_without_variation_have_places_too() -> None:
    for method in (PCA, TSNE):
        assert np.isfinite(project(np.ones((6, 3)), method)).all()
        assert project(np.arange(6.0)[:, None], method).shape == (6, 2)


def test_what_cannot_be_projected_is_refused() -> None:
    with pytest.raises(ValueError, match="4 vectors cannot be projected; at least 5"):
        project(np.ones((4, 2)), PCA)
    with pytest.raises(ValueError, match="method must be one of PCA, t-SNE, UMAP, got 'LDA'"):
        project(np.ones((9, 2)), "LDA")
    with pytest.raises(UsageError, match="no method 'tsne': it is one of PCA, t-SNE, UMAP"):
        chosen_methods(["tsne"])
    assert chosen_methods(["pca", "T-SNE", "PCA"]) == (PCA, TSNE)


def test_large_collections_are_sampled_by_the_seed() -> None:
    np.testing.assert_array_equal(sampled(MOST, 0), np.arange(MOST))
    drawn = sampled(MOST + 1000, 0)
    assert len(np.unique(drawn)) == MOST
    assert (np.diff(drawn) > 0).all()
    assert (sampled(MOST + 1000, 1) != drawn).any()


def test_rare_values_are_grey_and_frequent_ones_look_different() -> None:
    values = [f"genre {k}" for k in range(MOST_VALUES + 3) for _ in range(MOST_VALUES + 4 - k)] + [None]
    assert shown_values(values) == [f"genre {k}" for k in range(MOST_VALUES)]
    places = generator(61).normal(size=(len(values), 2))
    figure = draw_embeddings({"PCA": places}, {"genre": np.array(values, object)}, "all")
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [*shown_values(values), OTHER, UNKNOWN]
    looks = [(line.get_color(), line.get_marker()) for line in legend.get_lines()[:MOST_VALUES]]
    assert len(set(looks)) == MOST_VALUES
    drawn = sum(len(dots.get_offsets()) for dots in figure.axes[0].collections)
    assert drawn == len(values)


def test_targets_of_every_task_become_tags() -> None:
    assert target_tags(np.array([1, 0, 1]), ("a", "b"))["label"].tolist() == ["b", "a", "b"]
    several = target_tags(np.array([[0, 1], [0, 1], [1, 0.0]]), ("a", "b"))
    assert list(several) == ["b", "a"]  # the most frequent first
    assert several["b"].tolist() == ["with", "with", "without"]
    numbers = target_tags(np.array([[0.5], [0.25]], np.float32), ("joy",))["joy"]
    assert numbers.dtype == float
    assert draw_embeddings({"PCA": np.eye(2)}, {"joy": numbers}, "t").axes[0].get_title(loc="left") == "PCA, by joy"


def test_columns_of_a_table_colour_by_words_numbers_and_unknown(tmp_path: Path) -> None:
    names = [f"{k}.mp3" for k in range(20)]
    table = pd.DataFrame({"path": names[:-1], "mood": ["calm", "wild", ""] * 6 + ["calm"], "tempo": range(60, 79)})
    table.to_csv(tmp_path / "tags.csv", index=False)
    paths = [str(tmp_path / name) for name in names]
    found = tags_from_table(paths, ["mood", "tempo"], tmp_path / "tags.csv").values
    assert found["mood"].tolist() == [*["calm", "wild", None] * 6, "calm", None]
    np.testing.assert_array_equal(found["tempo"], [*range(60, 79), np.nan])
    with pytest.raises(UsageError, match="lists none of the 1 tracks"):
        tags_from_table(["/elsewhere/0.mp3"], ["mood"], tmp_path / "tags.csv")


def test_tags_of_files_are_read_and_what_cannot_be_is_listed(tmp_path: Path) -> None:
    finish(make_collection(tmp_path, artists=2, tracks=1, seconds=2, workers=1))
    paths = sorted(str(path) for path in tmp_path.rglob("*") if path.suffix in (".flac", ".mp3", ".ogg", ".wav"))
    found = tags_from_files([*paths, str(tmp_path / "gone.mp3")], ["artist"])
    assert found.values["artist"][-1] is None
    assert all(isinstance(name, str) for name in found.values["artist"][:-1])
    assert [row["path"] for row in found.unread] == [str(tmp_path / "gone.mp3")]
    with pytest.raises(UsageError, match="no tag 'mood' in files"):
        tags_from_files(paths, ["mood"])


def test_the_command_draws_png_and_svg_and_says_what_is_wrong(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{k}.mp3") for k in range(40)]
    write_vectors(tmp_path / "v.npz", paths, two_groups())
    kinds = pd.DataFrame({"path": [f"{k}.mp3" for k in range(40)], "kind": LABELS.astype(str)})
    kinds.to_csv(tmp_path / "kinds.csv", index=False)
    run = ["plot", "embeddings", str(tmp_path / "v.npz"), "--by", "kind", "--table", str(tmp_path / "kinds.csv")]
    for name, start in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        done = CliRunner().invoke(main, [*run, "--method", "pca", "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert (tmp_path / name).read_bytes().startswith(start)
    for more, message in (
        (["-o", "a.gif"], "ends in .png or .svg"),
        (["-o", "a.png", "--method", "x"], "no method 'x'"),
    ):
        done = CliRunner().invoke(main, [*run, *more])
        assert done.exit_code == 2
        assert message in done.stderr
