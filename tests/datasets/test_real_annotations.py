"""The annotation files as published, where they lie beside the real music: every declared count and checksum holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirclr.datasets.partial import differences
from mirclr.datasets.registry import shipped_file
from mirclr.datasets.table import load_collection
from tests.support.published_collections import ENTRIES

pytestmark = pytest.mark.music
FOLDERS = {
    "gtzan": "gtzan",
    "giantsteps-key": "giantsteps-key",
    "giantsteps-tempo": "giantsteps-tempo",
    "emomusic-csv": "emomusic",
    "extended-ballroom-csv": "ballroom",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_declared_counts_and_checksums_are_those_of_the_published_files(
    name: str, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = music.parent / "annotations" / FOLDERS[name]
    if not root.is_dir():
        pytest.skip(f"no real music to test with: {root} is not there")
    monkeypatch.setenv(ENTRIES[name].root.strip("${}"), str(root))
    # The sound is not there: what the tables list is taken for present.
    monkeypatch.setattr("mirclr.datasets.table.on_disk", lambda path, suffixes=(): path)
    made = load_collection(name, registry=shipped_file())
    assert len(made.tracks) == ENTRIES[name].expected.tracks
    assert differences(made) == ()
