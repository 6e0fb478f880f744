"""Weights from elsewhere: what fits is loaded, what does not is told, and nothing happens in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mirclr.errors import CheckpointError, ConfigError
from mirclr.models.embedder import Embedder
from mirclr.training.transfer import transfer
from tests.support.labelled_tones import PLAN, tiny_encoder


def fresh(**encoder: Any) -> Embedder:
    torch.manual_seed(9)
    return Embedder({**PLAN, "encoder": {**PLAN["encoder"], **encoder}})


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return tiny_encoder(tmp_path / "ours")


@pytest.fixture
def foreign(ours: Path, tmp_path: Path) -> Path:
    """The same weights as another program would name them, half precision, with a classifier and without counters."""
    tensors = load_file(ours / "encoder" / "encoder.safetensors")
    kept = {name: t for name, t in tensors.items() if "num_batches" not in name}
    renamed = {
        f"backbone.{n.replace('encoder.stages.', 'layer')}".replace("normalise.", "in_"): t for n, t in kept.items()
    }
    path = tmp_path / "foreign.safetensors"
    save_file({**{n: t.half() for n, t in renamed.items()}, "fc.weight": torch.ones(3, 3)}, path)
    return path


def key_map(folder: Path, text: str) -> Path:
    path = folder / "map.yaml"
    path.write_text(text)
    return path


FULL_MAP = r"""
backbone.in_mean: normalise.mean
backbone\.in_(.*): normalise.\1
backbone\.layer(.*): encoder.stages.\1
backbone\.(.*): \1
fc\..*: null
"""


def test_an_encoder_of_the_same_plan_is_taken_whole(ours: Path) -> None:
    embedder, source = fresh(), load_file(ours / "encoder" / "encoder.safetensors")
    report = transfer(embedder, ours, None, allow_partial=False)
    assert not report.partial
    assert set(report.loaded) == set(source)
    assert all(torch.equal(t, source[name]) for name, t in embedder.state_dict().items())


@pytest.mark.parametrize(
    ("encoder", "missing", "unexpected", "misshapen"),
    [({"stages": 3}, "encoder.stages.2.", "", ""), ({"stages": 1}, "", "encoder.stages.1.", ""),
     ({"stem": [4, 4], "width": 8}, "", "", "encoder.stem.0.weight: (4, 1, 7, 7) there, (8, 1, 7, 7) here")],
)  # fmt: skip
def test_another_plan_is_refused_unless_allowed_and_then_told(
    ours: Path, encoder: dict[str, Any], missing: str, unexpected: str, misshapen: str
) -> None:
    embedder = fresh(**encoder)
    before = {name: t.clone() for name, t in embedder.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"the weights do not fit the encoder; .*--allow-partial"):
        transfer(embedder, ours, None, allow_partial=False)
    assert all(torch.equal(t, before[name]) for name, t in embedder.state_dict().items())
    report = transfer(embedder, ours, None, allow_partial=True)
    assert report.partial
    for told, start in ((report.missing, missing), (report.unexpected, unexpected), (report.misshapen, misshapen)):
        assert bool(told) == bool(start)
        assert any(line.startswith(start) for line in told) or not start
    source, after = load_file(ours / "encoder" / "encoder.safetensors"), embedder.state_dict()
    assert all(torch.equal(after[name], source[name]) for name in report.loaded)
    assert all(torch.equal(after[name], before[name]) for name in after.keys() - set(report.loaded))
    lines = report.lines()
    assert lines[0] == f"{ours}: {len(report.loaded)} tensors loaded"
    assert len(lines) == 1 + len(report.missing) + len(report.unexpected) + len(report.misshapen)


def test_a_key_map_renames_by_name_and_by_pattern_and_drops_on_purpose(
    foreign: Path, ours: Path, tmp_path: Path
) -> None:
    embedder, source = fresh(), load_file(ours / "encoder" / "encoder.safetensors")
    report = transfer(embedder, foreign, key_map(tmp_path, FULL_MAP), allow_partial=False)
    assert not report.partial
    assert report.dropped == ("fc.weight",)
    for name in report.loaded:
        torch.testing.assert_close(embedder.state_dict()[name], source[name].half().float())
        assert embedder.state_dict()[name].dtype == torch.float32


def test_an_exact_name_comes_before_a_pattern_and_dots_are_dots(tmp_path: Path) -> None:
    embedder = fresh()
    shape = embedder.state_dict()["normalise.mean"].shape
    save_file({"a.b": torch.full(shape, 1.0), "aXb": torch.full(shape, 2.0)}, tmp_path / "s.safetensors")
    rules = key_map(tmp_path, "a.b: normalise.mean\na[.X]b: normalise.std\n")
    transfer(embedder, tmp_path / "s.safetensors", rules, allow_partial=True)
    assert embedder.normalise.mean.unique().tolist() == [1.0]
    assert embedder.normalise.std.unique().tolist() == [2.0]


def test_nothing_that_fits_is_an_error_even_when_parts_are_allowed(foreign: Path) -> None:
    with pytest.raises(CheckpointError, match=r"(?s)map their names with a key map\n.*0 tensors loaded.*more"):
        transfer(fresh(), foreign, None, allow_partial=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a, b]", "a key map is `theirs: ours`"),
        ("a: 3", "a key map is `theirs: ours`"),
        ("'backbone(': x", "not a regular expression"),
        (r"'back(.*)': '\2'", "invalid group reference"),
        ("'.*': encoder.stem.0.weight", "both become 'encoder.stem.0.weight'"),
    ],
)
def test_a_key_map_with_mistakes_is_refused(foreign: Path, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        transfer(fresh(), foreign, key_map(tmp_path, text), allow_partial=True)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        transfer(fresh(), tmp_path / "model.pt", None, allow_partial=True)


def test_a_damaged_encoder_of_ours_is_refused(ours: Path) -> None:
    file = ours / "encoder" / "encoder.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="its bytes are not those"):
        transfer(fresh(), ours, None, allow_partial=True)
