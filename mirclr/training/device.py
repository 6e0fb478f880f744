"""Which device, which precision, how many threads: chosen once, recorded in the run."""

from __future__ import annotations

import logging

import torch
from lightning_fabric import Fabric

from mirclr.config import PretrainConfig
from mirclr.errors import UsageError
from mirclr.memory import ask_for_huge_pages, keep_freed
from mirclr.training.processes import seat


def bf16_is_fast(gpu: bool) -> bool:
    """Whether the processor multiplies bfloat16 natively; emulated, it trains at half the speed of float32."""
    if gpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def make_fabric(config: PretrainConfig) -> Fabric:
    """Lightning Fabric on one device, or on this process's of several that torchrun started.

    Raises UsageError when a GPU is asked for and torch sees none.
    """
    gpu = torch.cuda.is_available() and config.device != "cpu"
    if config.device == "gpu" and not gpu:
        raise UsageError("device=gpu: torch sees no GPU here; use device=auto, or install a GPU build of torch")
    fast = config.precision == "bf16" or (config.precision == "auto" and bf16_is_fast(gpu))
    if not gpu:
        ask_for_huge_pages()
        keep_freed()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    # Fabric announces its precision at INFO; the run's own report says it once, where it belongs.
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    place = seat()
    fabric = Fabric(
        accelerator="cuda" if gpu else "cpu",
        devices=place.local,
        num_nodes=place.size // place.local,
        strategy="ddp" if place.size > 1 else "auto",
        precision="bf16-mixed" if fast else "32-true",
    )
    fabric.launch()
    return fabric
