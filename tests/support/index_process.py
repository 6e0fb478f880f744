"""An index run in a process of its own, on paper music, slow enough to be watched and killed.

Arguments: store, folder, seconds per track. Prints how many tracks were heard.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mirclr.library import index
from mirclr.library.store import Library
from mirclr.reports import finish
from tests.support.library import Bands
from tests.support.paper_music import Scanner


class Slow(Bands):
    """Ears that take their time."""

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(float(sys.argv[3]))
        return super().segments(samples)


def main() -> None:
    """Index once."""
    ears = Slow()
    with pytest.MonkeyPatch.context() as patch:
        Scanner().install(patch)
        patch.setattr(index, "STORE_BATCH", 3)
        with Library.open_or_create(Path(sys.argv[1]), ears) as library:
            finish(index.index_folder(library, Path(sys.argv[2]), ears, workers=1))
    sys.stdout.write(f"{ears.heard}\n")


if __name__ == "__main__":
    main()
