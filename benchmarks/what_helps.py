"""What each part of the default recipe buys: pretraining without it, the same number of steps, several seeds.

    python benchmarks/what_helps.py COLLECTION -o OUT [--steps 150] [--seeds 0 1] [--threads 1] [--only NAME ...]

COLLECTION is a name in datasets.yaml, or a table or folder per label, as for `mirclr evaluate`; its own tracks are the
music that is trained on, never its labels. Runs are kept in OUT and not made twice, so an interrupted benchmark goes
on, and two processes with different --only share the work. Per variant: genre accuracy of the linear probe,
same-artist R@1 and artist-filtered precision@10, means over seeds, and the paired difference to the default with its
95 % interval over artists and seeds. With positives or masks from artist tags R@1 is not blind, and `blind` says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from mirclr.audio.scan import scan
from mirclr.config import AugmentConfig, PretrainConfig, merged, validate
from mirclr.datasets.collection import Collection
from mirclr.datasets.table import load_collection
from mirclr.evaluation.bootstrap import interval
from mirclr.evaluation.judge import Judge, Judged, mean_of
from mirclr.evaluation.subject import every_vector
from mirclr.features.encoder_file import load_encoder
from mirclr.reports import finish
from mirclr.training.pretrain import pretrain

KEYS = ("linear.accuracy", "retrieval.artist_r1", "retrieval.label_p10")


def without(*names: str) -> dict[str, Any]:
    """The default chain on spectrograms without some of its effects."""
    kept = [part.model_dump() for part in AugmentConfig().spec if part.name not in names]
    return {"augment": {"spec": kept}}


VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no artist positives": {"views": {"artist_positive": 0}},
    "no artist tags at all": {"views": {"artist_positive": 0, "mask_same_artist": False}},
    "NT-Xent in place of DCL": {"loss": {"name": "nt_xent"}},
    "no background mix": without("background_mix"),
    "no EQ, no gain": without("spec_eq", "spec_gain"),
    "no masks": without("time_mask", "frequency_mask"),
    "no warp, no shift": without("time_warp", "frequency_shift"),
    "no effects": {"augment": {"spec": []}},
}


def judged(collection: Collection, run: Path, over: dict[str, Any], judge: Judge) -> Judged:
    """Pretrain unless it was done, embed, judge."""
    config = validate(PretrainConfig, over, "what_helps")
    if not (run / "encoder" / "encoder.json").is_file():
        tracks = finish(scan(collection.root)).tracks
        finish(pretrain(tracks, config, run, resume=True))
    return judge.row(every_vector(collection, load_encoder(run), workers=1))


def cell(row: Judged, key: str, base: Judged | None) -> str:
    """The mean, and the difference to the default with its interval."""
    value = f"{100 * row.measures[key].value:.1f}"
    if base is None:
        return value
    low, high = interval(row.draws[key] - base.draws[key])
    gap = row.measures[key].value - base.measures[key].value
    return f"{value} ({100 * gap:+.1f}; {100 * low:+.1f} to {100 * high:+.1f})"


def main() -> None:
    """Parse, train, print a row per variant as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    collection = load_collection(args.collection)
    judge = Judge.of(collection)
    base: Judged | None = None
    print("variant\t" + "\t".join(KEYS), flush=True)
    for name in args.only:
        rows = {}
        for seed in args.seeds:
            over = merged(VARIANTS[name], {"seed": seed, "budget": {"steps": args.steps}, "threads": args.threads})
            run = args.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            rows[f"{name} {seed}"] = judged(collection, run, over, judge)
        row = mean_of(rows)
        print("\t".join([name, *(cell(row, key, base) for key in KEYS)]), flush=True)
        base = row if name == "default" else base


if __name__ == "__main__":
    main()
