"""Two processes train one model: the gradient is that of all items together, and only one of them writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mirclr.config import dump
from mirclr.features.encoder_file import load_encoder
from mirclr.losses.nt_xent import NTXent
from mirclr.training.journal import read_journal
from mirclr.training.processes import ALONE, Seat, seat
from mirclr.training.views import Batch
from tests.support.gather_child import items, model
from tests.support.tiny import tiny
from tests.support.tones import tone_folder

ROOT = Path(__file__).parents[2]


def torchrun(*arguments: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]


def test_gathered_gradients_are_those_of_one_process_with_every_item(tmp_path: Path) -> None:
    torchrun("-m", "tests.support.gather_child", str(tmp_path / "grad.safetensors"))
    alone = model()
    NTXent()(alone(items().flatten(0, 1)).unflatten(0, (2, -1))).backward()
    found = load_file(tmp_path / "grad.safetensors")
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-5, atol=1e-6)


def test_two_processes_make_one_run(tmp_path: Path) -> None:
    tone_folder(tmp_path / "music")
    settings = tmp_path / "config.json"
    settings.write_text(dump(tiny(tmp_path / "cache", hold_out=0.5, optim={"batch": 4}, loss={"name": "moco"})))
    command = ["-m", "mirclr", "pretrain", str(tmp_path / "music"), "-o", str(tmp_path / "run")]
    torchrun(*command, "--config", str(settings))
    steps = [row for row in read_journal(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "step"]
    assert [row["step"] for row in steps] == list(range(1, 13))
    assert np.isfinite([row["loss"] for row in steps]).all()
    assert load_encoder(tmp_path / "run").dim > 0


def test_the_parts_of_a_batch_are_the_batch() -> None:
    numbers = np.arange(7)
    whole = Batch(np.stack([numbers, numbers], 1), np.stack([numbers, numbers], 1), numbers, numbers)
    parts = [whole.part(rank, 3) for rank in range(3)]
    assert [len(part) for part in parts] == [3, 2, 2]
    assert np.array_equal(np.concatenate([part.groups for part in parts]), numbers)


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "3")  # a job scheduler's variable, not torchrun's
    assert seat() == ALONE
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert seat() == Seat(1, 4, 2)
    assert not seat().first
