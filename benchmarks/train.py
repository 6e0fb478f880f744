"""Training speed and its share of data work: the whole loop against the same encoder fed one ready batch.

    python benchmarks/train.py FOLDER [--steps 30] [--threads 2] [--repeats 3]

Per level of the cache (log-mel, samples) and repeat: clips a second of the loop, of the learning step alone on a batch
that is already on the device, their ratio, and the share of wall-clock time that the loop spent on data (reading,
drawing, effects, frontend). The two are measured in turn, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from mirclr.audio.scan import scan
from mirclr.config import PretrainConfig, validate
from mirclr.reports import finish
from mirclr.training.journal import read_journal
from mirclr.training.material import Material, prepare
from mirclr.training.pretrain import pretrain
from mirclr.training.run import make_source, new_learner


def settings(level: str, steps: int, threads: int) -> PretrainConfig:
    """The defaults, at one level of the cache, for a count of steps, with nothing held out."""
    data = {"cache": {"level": level}, "budget": {"steps": steps}, "threads": threads, "hold_out": 0}
    return validate(PretrainConfig, data, "benchmark")


def step_alone(material: Material, config: PretrainConfig, steps: int) -> float:
    """Clips a second of forward, backward and optimiser on one batch, again and again."""
    source = make_source(material, config)
    learner = new_learner(source, config)
    batch = source.prepared(next(source.batches(0, 0, 0)), learner)
    learner.step([batch], 1e-5)[0].item()
    began = time.monotonic()
    for _ in range(steps):
        learner.step([batch], 1e-5)[0].item()
    return steps * batch.clips / (time.monotonic() - began)


def loop(tracks: object, config: PretrainConfig, run: Path) -> tuple[float, float]:
    """Clips a second and data share of the real loop, from its own reports."""
    finish(pretrain(tracks, config, run))  # type: ignore[arg-type]
    report = [row for row in read_journal(run / "metrics.jsonl") if row["kind"] == "epoch"][-1]
    return report["clips_per_s"], report["data_share"]


def spread(values: list[float], digits: int) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    """Parse, measure, print one row per level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    tracks = finish(scan(args.folder)).tracks
    print("level\tloop clips/s\tstep alone clips/s\tratio\tdata share")
    for level in ("mel", "samples"):
        config = settings(level, args.steps, args.threads)
        material, rows = finish(prepare(tracks, config)), []
        with tempfile.TemporaryDirectory() as folder:
            for repeat in range(args.repeats):
                speed, share = loop(tracks, config, Path(folder) / f"{level}-{repeat}")
                alone = step_alone(material, config, args.steps)
                rows.append((speed, alone, speed / alone, share))
        columns = [spread(list(column), 0 if k < 2 else 2) for k, column in enumerate(zip(*rows, strict=True))]
        print("\t".join([level, *columns]), flush=True)


if __name__ == "__main__":
    main()
