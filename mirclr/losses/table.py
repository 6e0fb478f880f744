"""The objectives by name. A new one is a class in its own file and a line here; docs, checks and tests follow."""

from __future__ import annotations

import inspect
from typing import Any

from mirclr.losses.byol import BYOL
from mirclr.losses.dcl import DCL
from mirclr.losses.distill import Distill
from mirclr.losses.gen_supcon import GenSupCon
from mirclr.losses.hard import Hard
from mirclr.losses.logistic import Logistic
from mirclr.losses.margin import Margin
from mirclr.losses.moco import MoCo
from mirclr.losses.n_pair import NPair
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.objective import Objective
from mirclr.losses.redundancy import BarlowTwins, VICReg
from mirclr.losses.simsiam import SimSiam
from mirclr.losses.soft_positives import SoftPositives
from mirclr.losses.supcon import SupCon
from mirclr.losses.triplet import Triplet
from mirclr.tables import build, options_of

LOSSES: dict[str, type[Objective]] = {
    "nt_xent": NTXent,
    "dcl": DCL,
    "hard": Hard,
    "moco": MoCo,
    "soft_positives": SoftPositives,
    "supcon": SupCon,
    "gen_supcon": GenSupCon,
    "distill": Distill,
    "margin": Margin,
    "triplet": Triplet,
    "n_pair": NPair,
    "logistic": Logistic,
    "byol": BYOL,
    "simsiam": SimSiam,
    "vicreg": VICReg,
    "barlow": BarlowTwins,
}


def build_loss(name: str, dim: int = 128, **options: Any) -> Objective:
    """The objective `name` for projections of `dim` numbers, e.g. `build_loss("dcl", temperature=0.2)`.

    Raises ValueError on an unknown name, an unknown option or a value out of range.
    """
    takes_dim = name in LOSSES and "dim" in options_of(LOSSES[name])
    loss: Objective = build("loss", LOSSES, name, options, {"dim": dim} if takes_dim else {})
    return loss


def loss_rows() -> list[dict[str, str]]:
    """The table for people: `name`, `wants`, `what` it does, `options` with their defaults, `source`."""
    return [
        {
            "name": name,
            "wants": ", ".join(sorted(loss.wants)) or "nothing more",
            "what": inspect.cleandoc(loss.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
            "options": ", ".join(f"{key}={value}" for key, value in options_of(loss, ("dim",)).items()),
            "source": loss.source,
        }
        for name, loss in LOSSES.items()
    ]
