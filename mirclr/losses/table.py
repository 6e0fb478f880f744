"""The losses by name. A new one is a class in its own file and a line here."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from mirclr.config import nearest
from mirclr.losses.dcl import DCL
from mirclr.losses.nt_xent import NTXent

LOSSES: dict[str, type[nn.Module]] = {"nt_xent": NTXent, "dcl": DCL}


def build_loss(name: str, **options: Any) -> nn.Module:
    """The loss `name` with its options, e.g. `build_loss("dcl", temperature=0.2)`.

    Raises ValueError on an unknown name, an unknown option or a value out of range.
    """
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}.{nearest(name, LOSSES)}")
    known = inspect.signature(LOSSES[name]).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"loss {name!r} has no option {option!r}.{nearest(option, known)}")
    return LOSSES[name](**options)
