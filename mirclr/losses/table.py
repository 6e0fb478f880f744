"""The losses by name. A new one is a class in its own file and a line here."""

from __future__ import annotations

from typing import Any

from torch import nn

from mirclr.losses.dcl import DCL
from mirclr.losses.nt_xent import NTXent
from mirclr.tables import build

LOSSES: dict[str, type[nn.Module]] = {"nt_xent": NTXent, "dcl": DCL}


def build_loss(name: str, **options: Any) -> nn.Module:
    """The loss `name` with its options, e.g. `build_loss("dcl", temperature=0.2)`.

    Raises ValueError on an unknown name, an unknown option or a value out of range.
    """
    loss: nn.Module = build("loss", LOSSES, name, options)
    return loss
