"""A joint space on disk: the same after reading, and refused when it is not what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mirclr.errors import CheckpointError, UsageError
from mirclr.features.joint_file import Bound, load_joint, save_joint
from mirclr.models.joint import JointSpace

PLAN: dict[str, Any] = {
    "modalities": {"audio": 6},
    "text": {"buckets": 4096, "width": 8},
    **{"width": 16, "common": 5, "hidden": 12, "dim": 4, "dropout": 0.5},
}
ENCODER = Bound("mine", "ab" * 16, 6)


@pytest.fixture
def space() -> JointSpace:
    torch.manual_seed(0)
    made = JointSpace(PLAN)
    made.fit({"audio": torch.randn(20, 6)}, made.text.bags(["calm piano"]))
    return made


@pytest.fixture
def saved(space: JointSpace, tmp_path: Path) -> Path:
    save_joint(tmp_path / "joint", space, ENCODER, {"name": "test", "notes": ["a note"]})
    return tmp_path


def test_it_says_the_same_after_reading_without_dropout_and_by_length_one(space: JointSpace, saved: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    for place in (saved, saved / "joint"):
        joint = load_joint(place)
        expected = torch.nn.functional.normalize(space.eval().one("audio", torch.from_numpy(vectors)))
        np.testing.assert_allclose(joint.vectors(vectors), expected.detach().numpy(), rtol=1e-5, atol=1e-7)
        text = joint.texts(["calm", "a sad piano"])
        np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(text[1], joint.texts(["a sad piano"])[0], rtol=1e-5, atol=1e-7)
    assert joint.encoder == ENCODER
    assert joint.story == {"name": "test", "notes": ["a note"]}
    assert joint.unseen("calm harpsichord") == ["harpsichord"]


def test_many_tracks_are_projected_in_parts_all_the_same(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(11, 6)).astype(np.float32)
    joint = load_joint(saved)
    whole = joint.vectors(vectors)
    monkeypatch.setattr("mirclr.features.joint_file.BLOCK", 3)
    np.testing.assert_allclose(joint.vectors(vectors), whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("text", ["", "  ", "?!"])
def test_a_text_without_a_word_is_refused(saved: Path, text: str) -> None:
    with pytest.raises(UsageError, match="no word to search for"):
        load_joint(saved).texts([text])


def _changed(saved: Path, **over: Any) -> None:
    plan = saved / "joint" / "joint.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), **over}))


def test_what_is_not_there_damaged_or_of_another_format_is_said(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no joint space here \(no joint/joint\.json\).*`align -o` wrote"):
        load_joint(tmp_path / "elsewhere")
    weights = saved / "joint" / "joint.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"its bytes are not those joint\.json describes"):
        load_joint(saved)
    weights.write_bytes(whole)
    _changed(saved, plan={**PLAN, "dim": 5})
    with pytest.raises(CheckpointError, match="does not fit the space it describes"):
        load_joint(saved)
    _changed(saved, format=9)
    with pytest.raises(CheckpointError, match="joint format 9, this mirclr reads 1"):
        load_joint(saved)
    (saved / "joint" / "joint.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not a joint space's description"):
        load_joint(saved)
