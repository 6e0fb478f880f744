"""A configuration that trains in a second, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mirclr.config import PretrainConfig, merged, validate
from tests.support.tones import RATE

TINY: dict[str, Any] = {
    "audio": {"sample_rate": RATE, "max_seconds": None},
    "views": {"seconds": 1.0},
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
    "projection": {"name": "mlp", "hidden": 16, "dim": 8},
    "optim": {"batch": 4},
    "budget": {"steps": 12},
    "hold_out": 0,
    "threads": 1,
    "workers": 0,
}


def tiny(cache: Path, **over: Any) -> PretrainConfig:
    """The tiny configuration with its cache in `cache` and sections of `over` laid on top."""
    base = merged(TINY, {"cache": {"folder": str(cache), "workers": 1}})
    return validate(PretrainConfig, merged(base, over), "test")
