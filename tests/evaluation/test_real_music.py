"""MFCC statistics on real recordings: a probe reads what any listener hears, and only that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.datasets.table import load_collection
from mirclr.evaluation.judge import Judge, Judged
from mirclr.evaluation.subject import embed_collection
from mirclr.features.embed import embed_tracks
from mirclr.features.handcrafted import MfccStatistics
from mirclr.reports import finish

PER_GENRE = 12


def judged(table: pd.DataFrame, path: Path) -> Judged:
    table.to_csv(path, index=False)
    extractor = MfccStatistics()
    subject = finish(embed_collection(load_collection(path, folds=4), {"mfcc": extractor}, embed_tracks))
    assert subject.quarantine.empty
    return Judge(subject.problem, subject.ground, draws=200).row(subject.vectors["mfcc"])


@pytest.mark.music
def test_classical_and_rock_are_told_apart_across_artists_and_shuffled_labels_are_not(
    music: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(music / "emotify_a" / "metadata.csv", usecols=["path", "label", "artist"])
    table = table[table["label"].isin(["classical", "rock"])].groupby("label").head(PER_GENRE).reset_index(drop=True)
    table["path"] = [str(music / "emotify_a" / path) for path in table["path"]]
    assert judged(table, tmp_path / "real.csv").measures["linear.accuracy"].value > 0.9
    # Labels dealt out among artists: nothing is left to read, and the probe must not find anything.
    artists = table["artist"].unique()
    dealt = dict(zip(artists, np.resize(["classical", "rock"], len(artists)), strict=True))
    shuffled = judged(table.assign(label=table["artist"].map(dealt)), tmp_path / "shuffled.csv")
    assert 0.15 < shuffled.measures["linear.accuracy"].value < 0.85
