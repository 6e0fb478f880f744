"""Saved heads: what is read is what was written, and anything else is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mirclr.errors import CheckpointError
from mirclr.features.head_file import PLAN, WEIGHTS, load_head, save_head
from mirclr.models.task_head import TASKS, TaskHead


def made(task: str = "multiclass") -> TaskHead:
    torch.manual_seed(0)
    head = TaskHead(6, 3, task, hidden=(5,), dropout=0.1)
    torch.nn.init.normal_(head.map[-1].weight)
    return head.fit(torch.randn(9, 6) * 4 + 1).fit_targets(torch.randn(9, 3) * 7).eval()


@pytest.mark.parametrize("task", TASKS)
def test_written_and_read_gives_the_same_answers(tmp_path: Path, task: str) -> None:
    head, x = made(task), torch.randn(4, 6)
    save_head(tmp_path / "run" / "head", head, ["a", "ü", "c"], "f1")
    for place in (tmp_path / "run", tmp_path / "run" / "head"):
        read = load_head(place, "f1")
        assert (read.vocabulary, read.encoder) == (("a", "ü", "c"), "f1")
        assert torch.equal(read.head.scores(read.head(x)), head.scores(head(x)))


def test_a_head_of_another_encoder_is_refused(tmp_path: Path) -> None:
    save_head(tmp_path, made(), ["a", "b", "c"], "f1")
    with pytest.raises(CheckpointError, match="reads the embeddings of another encoder"):
        load_head(tmp_path, "f2")


def test_a_label_for_every_output(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 labels for a head of 3 outputs"):
        save_head(tmp_path, made(), ["a", "b"], "f1")


def test_a_missing_head_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no head here .*finetune -o"):
        load_head(tmp_path)


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    save_head(tmp_path, made(), ["a", "b", "c"], "f1")
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"head\.safetensors: its bytes are not those"):
        load_head(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "head format 9, this mirclr reads 1"),
        ({"plan": {"inputs": 6, "outputs": 3, "task": "multiclass"}}, "does not fit the head it describes"),
        ({"plan": {"inputs": 6, "outputs": 3, "task": "x"}}, "head.task must be one of"),
        ({"plan": 3}, "not a head's description"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    save_head(tmp_path, made(), ["a", "b", "c"], "f1")
    about = json.loads((tmp_path / PLAN).read_text())
    (tmp_path / PLAN).write_text(json.dumps({**about, **change}))
    with pytest.raises(CheckpointError, match=said):
        load_head(tmp_path)
