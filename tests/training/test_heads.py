"""Attributes with a space of their own: what is drawn for them, what is learned, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mirclr.config import PretrainConfig, ViewsConfig
from mirclr.errors import ConfigError
from mirclr.losses.leave_one_out import leave_one_out
from mirclr.reports import finish
from mirclr.training import pretrain as loop
from mirclr.training.check import check_config
from mirclr.training.checkpoint import LAST
from mirclr.training.heads import kinds_of
from mirclr.training.journal import read_journal
from mirclr.training.learner import Learner
from mirclr.training.material import prepare
from mirclr.training.prepared import Prepared
from mirclr.training.run import make_source, new_learner
from mirclr.training.source import Source
from tests.support.tiny import tiny
from tests.support.tones import tone_folder

Sound = tuple[pd.DataFrame, Path]
WARP = {"name": "time_warp", "max_rate": 1.5}
CHAIN = {"spec": [{**WARP, "p": 0.5}, {"name": "frequency_shift", "p": 0.5}, {"name": "spec_gain", "p": 0.8}]}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    folder = tmp_path_factory.mktemp("sound")
    return tone_folder(folder / "music"), folder / "cache"


def config(sound: Sound, *heads: str, **over: object) -> PretrainConfig:
    views = {"seconds": 1.0, "heads": list(heads), **over.pop("views", {})}  # type: ignore[dict-item]
    return tiny(sound[1], **{"augment": CHAIN, "views": views, **over})


def source_of(sound: Sound, settings: PretrainConfig) -> Source:
    return make_source(finish(prepare(sound[0], settings)), settings)


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_journal(run / "metrics.jsonl") if row["kind"] == "step"]


def train(sound: Sound, run: Path, *heads: str, **over: object) -> loop.Pretrained:
    return finish(loop.pretrain(sound[0], config(sound, *heads, **over), run))


def test_one_more_view_of_the_own_track_is_drawn_for_each_head_and_the_others_stay(sound: Sound) -> None:
    views = {"artist_positive": 1.0, "local": 1, "local_seconds": 0.4}
    plain = source_of(sound, config(sound, views=views))
    headed = source_of(sound, config(sound, "tempo", "key", views=views))
    for epoch in range(3):
        before, after = (next(s.batches(epoch, 0, 0)) for s in (plain, headed))
        assert after.planned.track.shape == (4, 5)
        assert np.array_equal(after.planned.track[:, :3], before.planned.track)
        assert np.array_equal(after.planned.start[:, :3], before.planned.start)
        assert (after.planned.track[:, 3:] == after.planned.track[:, :1]).all()
        assert (before.planned.track[:, 1] != before.planned.track[:, 0]).all()
        assert np.array_equal(after.spec.on[:, :12], before.spec.on)
        assert np.array_equal(after.crops[:12], before.crops)


def test_the_view_of_a_head_shares_its_attributes_effects_with_the_first_view_alone(sound: Sound) -> None:
    source = source_of(sound, config(sound, "tempo", "key"))
    loaded = next(source.batches(0, 0, 0))
    on, parameters = loaded.spec.on.reshape(3, 4, 4), loaded.spec.parameters
    rate = parameters[0]["rate"].reshape(4, 4)
    bins = parameters[1]["bins"].reshape(4, 4)
    gain = parameters[2]["db"].reshape(4, 4)
    for shared, head, other in ((rate, 2, 3), (bins, 3, 2)):
        assert np.array_equal(shared[head], shared[0])
        assert (shared[other] != shared[0]).all()
    assert np.array_equal(on[0, 2], on[0, 0])
    assert np.array_equal(on[1, 3], on[1, 0])
    assert all((gain[view] != gain[0]).all() for view in (1, 2, 3))


def prepared_of(sound: Sound, settings: PretrainConfig) -> Iterator[tuple[Learner, Prepared]]:
    source = source_of(sound, settings)
    learner = new_learner(source, settings)
    for loaded in source.batches(0, 0, 0):
        yield learner, source.prepared(loaded, learner)


def test_kinds_say_who_was_changed_in_the_same_way(sound: Sound) -> None:
    settings = config(sound, "tempo", "key", views={"artist_positive": 0.5, "local": 1, "local_seconds": 0.4})
    seen = set()
    for _, (_, batch) in zip(range(8), prepared_of(sound, settings), strict=False):
        assert batch.frames.shape[:2] == (4, 4)
        assert batch.local.shape[0] == 1
        tempo, key = batch.kinds
        assert torch.equal(tempo[2], tempo[0])
        assert torch.equal(key[3], key[0])
        seen |= set(tempo[1].tolist())
    assert seen == {-1, 0, 1}  # of another track; off in both; warped in another way


def test_views_of_other_tracks_are_not_compared() -> None:
    track = np.array([[1, 2], [1, 5], [1, 2]])
    assert kinds_of(["tempo"], [], np.arange(6).reshape(3, 2), track).tolist() == [[[0, 0], [0, -1], [0, 0]]]


def test_the_loss_is_the_mean_of_the_shared_space_and_the_attributes_spaces(sound: Sound) -> None:
    settings = config(sound, "tempo", "key", views={"local": 1, "local_seconds": 0.4})
    learner, batch = next(prepared_of(sound, settings))
    learner.model.train()
    z = learner._views(learner.model(*(part.flatten(0, 1) for part in batch.parts)), batch)
    assert z.shape == (5, 4, 3 * 8)
    shared = learner.loss(z[[0, 1, 4], :, :8], batch.groups)
    own = [leave_one_out(learner.loss, z[:4, :, 8 * k : 8 * k + 8], batch.kinds[k - 1], batch.groups) for k in (1, 2)]
    torch.testing.assert_close(learner._loss(z, batch), (shared + own[0] + own[1]) / 3)
    loss, projected = learner.step([batch], 0.0)
    assert projected.shape == (5, 4, 8)  # diagnostics look at the shared space
    assert torch.isfinite(loss)


def test_without_heads_nothing_is_built_and_nothing_changes(sound: Sound, tmp_path: Path) -> None:
    train(sound, tmp_path / "plain")
    learner, batch = next(prepared_of(sound, config(sound)))
    assert batch.kinds is None
    assert not [name for name in learner.tensors() if ".heads." in name]
    train(sound, tmp_path / "headed", "tempo")
    assert losses(tmp_path / "headed") != losses(tmp_path / "plain")


@pytest.mark.parametrize("loss", [{"name": "nt_xent"}, {"name": "dcl", "mask_above": 0.9}])
def test_workers_and_a_restart_change_nothing(sound: Sound, tmp_path: Path, loss: dict[str, object]) -> None:
    from safetensors.torch import load_file

    over: dict[str, object] = {"loss": loss, "optim": {"batch": 4}, "budget": {"steps": 6}}
    train(sound, tmp_path / "whole", "tempo", "key", **over)
    train(sound, tmp_path / "workers", "tempo", "key", **over, workers=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_report", lambda run, meter: None)
        wish = iter([None, None, "SIGINT"])
        patch.setattr(
            loop, "agreed", lambda fabric, value: (value[0], next(wish)) if isinstance(value, tuple) else value
        )
        with pytest.raises(loop.Interrupted):
            train(sound, tmp_path / "parts", "tempo", "key", **over)
    finish(loop.pretrain(sound[0], config(sound, "tempo", "key", **over), tmp_path / "parts", resume=True))
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole") == losses(tmp_path / "workers")
    assert len(losses(tmp_path / "whole")) == 6
    names = load_file(tmp_path / "parts" / "checkpoints" / LAST)
    assert any(name.startswith("model.heads.tempo.") for name in names)


def test_gradients_in_parts_serve_every_head(sound: Sound, tmp_path: Path) -> None:
    train(sound, tmp_path / "whole", "tempo", "key")
    train(sound, tmp_path / "parts", "tempo", "key", optim={"encode_at_once": 64})
    np.testing.assert_allclose(losses(tmp_path / "parts"), losses(tmp_path / "whole"), rtol=1e-4)


@pytest.mark.parametrize(
    ("heads", "over", "said"),
    [
        (["temp"], {}, r"views\.heads: no attribute 'temp'\. Did you mean 'tempo'\?"),
        (["tempo", "tempo"], {}, r"views\.heads: tempo is given twice"),
        (["order"], {}, r"nothing in the chain changes order: there is nothing to tell apart"),
        (["tempo"], {"loss": {"name": "vicreg"}}, r"views\.heads: loss vicreg cannot serve them: .*nt_xent or dcl"),
        (["tempo"], {"loss": {"name": "dcl", "sigma": 0.5}}, r"loss dcl cannot serve them: dcl's sigma"),
        (
            ["content"],
            {"augment": {"spec": [{"name": "background_mix"}]}},
            r"background_mix changes content by another",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_decoded(
    sound: Sound, heads: list[str], over: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_config(config(sound, *heads, **over), "test")


def test_every_mistake_is_said_at_once(sound: Sound) -> None:
    with pytest.raises(ConfigError, match=r"(?s)nothing in the chain changes order.*loss byol cannot serve them"):
        check_config(config(sound, "order", loss={"name": "byol"}), "test")
    check_config(config(sound, "tempo", "key", "loudness"), "test")
    assert ViewsConfig().heads == ()
