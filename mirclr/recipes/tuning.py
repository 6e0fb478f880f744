"""A tuning as the command and the recipe step both start it: the folder scanned, the space read, the objective built.

Training and evaluation do not know each other; here a trial's encoder goes through the probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirclr.config import PretrainConfig
from mirclr.reports import Work

if TYPE_CHECKING:
    import pandas as pd

    from mirclr.datasets.collection import Collection
    from mirclr.training.tune import Objective, TuneBudget
    from mirclr.training.tune_result import Tuned


def tune_folder(
    folders: list[Path],
    output: Path,
    config: PretrainConfig,
    budget: TuneBudget,
    *,
    space: Mapping[str, Any] | None = None,
    labels: Collection | None = None,
    source: str = "space",
) -> Work[tuple[Tuned, pd.DataFrame]]:
    """Tune `config` on the music in `folders`; the result, and the files that scanning had to leave out.

    `space`: plain data, read as `source` (None: the default space). `labels`: judge trials by the linear probe on this
    collection instead of held-out retrieval. Raises what `read_space` and `tune` raise.
    """
    from mirclr.audio.scan import scan
    from mirclr.training.check import check_config
    from mirclr.training.tune import HELD_OUT, tune
    from mirclr.training.tune_space import read_space

    check_config(config, "tune")
    objective = HELD_OUT if labels is None else probe_objective(labels, config.threads)
    searched = read_space(space, config, objective.held_out, source) if space is not None else None
    found = yield from scan(folders, clip_seconds=config.views.seconds)
    done = yield from tune(found.tracks, config, output, searched, budget, objective)
    return done, found.quarantine


def probe_objective(collection: Collection, threads: int | None = None) -> Objective:
    """The main measure of the linear probe on `collection`, over its splits, for the encoder of a run.

    `threads`: how many tracks are embedded at a time (None: one a core). Judging raises DatasetError when a file of the
    collection cannot be read: trials would not be judged on the same tracks.
    """
    from mirclr.evaluation.judge import Judge
    from mirclr.evaluation.subject import every_vector
    from mirclr.features.encoder_file import load_encoder
    from mirclr.training.tune import Objective

    judge = Judge.of(collection)

    def score(run: Path) -> float:
        vectors = every_vector(collection, load_encoder(run / "encoder"), threads)
        return judge.row(vectors).measures[judge.main].value

    return Objective(f"{judge.main} on {collection.name}", score)
