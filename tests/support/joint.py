"""A joint space of text and what `Bands` hears: learned nothing, but answers always alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mirclr.features.joint_file import Bound, SavedJoint
from mirclr.models.joint import JointSpace
from tests.support.library import Bands

PLAN: dict[str, Any] = {
    "modalities": {"audio": 8},
    "text": {"buckets": 64, "width": 8},
    **{"width": 16, "common": 5, "hidden": 12, "dim": 4, "dropout": 0.5},
}


def small_joint() -> SavedJoint:
    """A space that knows the words "calm piano"."""
    torch.manual_seed(0)
    space = JointSpace(PLAN)
    space.fit({"audio": torch.randn(20, 8)}, space.text.bags(["calm piano"]))
    return SavedJoint(space, Bound("bands", Bands().fingerprint, 8), {}, Path("joint"))
