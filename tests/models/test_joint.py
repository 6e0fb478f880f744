"""The joint space: what is shared and what is not, what a missing modality changes, what does not depend on a batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mirclr.models.joint import JointSpace
from mirclr.models.text import Bags

PLAN: dict[str, Any] = {
    "modalities": {"audio": 6, "lyrics": 3},
    "text": {"buckets": 64, "width": 8},
    "width": 16,
    "common": 5,
    "hidden": 12,
    "dim": 4,
    "dropout": 0.0,
}
EVERY = torch.ones(3, 4, dtype=torch.bool)
TEXTS = ["calm piano", "rock", "sad song", "waltz"]


@pytest.fixture
def space() -> JointSpace:
    torch.manual_seed(0)
    return JointSpace(PLAN).eval()


def given(space: JointSpace, texts: list[str] = TEXTS) -> dict[str, Tensor | Bags]:
    generator = torch.Generator().manual_seed(1)
    vectors = {name: torch.randn(4, size, generator=generator) for name, size in PLAN["modalities"].items()}
    assert space.text is not None
    return {**vectors, "text": space.text.bags(texts)}


def test_it_gives_a_projection_of_every_modality_and_of_the_whole(space: JointSpace) -> None:
    alone, whole = space(given(space), EVERY)
    assert space.names == ("audio", "lyrics", "text")
    assert (alone.shape, whole.shape) == ((3, 4, 4), (4, 4))
    for place, name in enumerate(space.names):
        torch.testing.assert_close(alone[place], space.one(name, given(space)[name]))


def test_one_head_serves_all_and_the_whole_has_features_of_its_own(space: JointSpace) -> None:
    """The paper's section 4: f_m are apart from f_1:M, g is one."""
    alone, whole = space(given(space), EVERY)
    own = torch.autograd.grad(whole.sum(), list(space.alone.parameters()), retain_graph=True, allow_unused=True)
    assert all(grad is None for grad in own)
    other = torch.autograd.grad(alone.sum(), list(space.together.parameters()), retain_graph=True, allow_unused=True)
    assert all(grad is None for grad in other)
    for projected in (*alone, whole):
        grads = torch.autograd.grad(projected.sum(), list(space.head.parameters()), retain_graph=True)
        assert all(grad.abs().sum() > 0 for grad in grads)


def test_what_is_given_for_a_missing_modality_does_not_matter_and_its_absence_does(space: JointSpace) -> None:
    present = EVERY.clone()
    present[1, 2] = present[2, 0] = False
    first = given(space)
    other = given(space, ["something else", *TEXTS[1:]])
    other["lyrics"] = first["lyrics"].clone()
    other["lyrics"][2] = 1e6
    torch.testing.assert_close(space.whole(first, present), space.whole(other, present))
    complete, lacking = space.whole(first, EVERY), space.whole(first, present)
    assert [bool((a != b).any()) for a, b in zip(complete, lacking, strict=True)] == [True, False, True, False]


def test_what_stands_for_a_missing_modality_is_learned(space: JointSpace) -> None:
    present = EVERY.clone()
    present[2] = False
    space.whole(given(space), present).sum().backward()
    assert space.absent.grad[2].abs().sum() > 0
    assert space.absent.grad[:2].abs().sum() == 0


def test_an_item_is_the_same_in_any_batch(space: JointSpace) -> None:
    every = space.whole(given(space), EVERY)
    first = given(space, TEXTS[:1])
    single = {"audio": first["audio"][:1], "lyrics": first["lyrics"][:1], "text": first["text"]}
    torch.testing.assert_close(space.whole(single, EVERY[:, :1])[0], every[0])


def test_vectors_are_standardised_as_fitted_and_still_dimensions_say_nothing(space: JointSpace) -> None:
    rows = torch.randn(50, 6) * torch.tensor([1.0, 10, 100, 1, 1, 1]) + 5
    rows[:, 4] = 7.0
    space.fit({"audio": rows, "lyrics": torch.randn(50, 3)})
    first = space.alone[0]
    standard = (rows - first.mean) * first.scale
    torch.testing.assert_close(standard[:, :4].std(0, correction=0), torch.ones(4))
    torch.testing.assert_close(standard.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    moved = rows.clone()
    moved[:, 4] = -100.0
    torch.testing.assert_close(space.one("audio", moved), space.one("audio", rows))
    bigger = JointSpace(PLAN)
    bigger.load_state_dict(space.state_dict())
    bigger.eval().fit({"audio": rows * 1000, "lyrics": torch.randn(50, 3)})
    torch.testing.assert_close(bigger.one("audio", rows * 1000), space.one("audio", rows), atol=1e-4, rtol=1e-4)


def test_how_many_words_say_it_does_not_matter(space: JointSpace) -> None:
    bags = space.text.bags(["piano", "piano piano piano"])
    one, three = space.one("text", bags)
    torch.testing.assert_close(one, three)


@pytest.mark.parametrize("names", [{"keys": 2, "type": 3}, {"audio": 2, "values": 3}])
def test_any_name_will_do_and_text_is_not_needed(names: dict[str, int]) -> None:
    space = JointSpace({**PLAN, "modalities": names, "text": None})
    alone, _ = space({name: torch.randn(5, size) for name, size in names.items()}, torch.ones(2, 5, dtype=torch.bool))
    assert alone.shape == (2, 5, 4)
    assert space.text is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": None, "modalities": {"audio": 3}}, r"two modalities or more.*\('audio',\)"),
        ({"modalities": {"audio": 3, "text": 3}}, "text told apart from vectors"),
        ({"dim": 0}, "dim must be a whole number >= 1, got 0"),
        ({"modalities": {"audio": 0, "lyrics": 1}}, r"modalities\.audio must be a whole number >= 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be in 0 to below 1, got 1\.0"),
        ({"text": {"buckets": 0}}, r"text\.buckets must be"),
    ],
)
def test_a_plan_that_cannot_be_built_says_why(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        JointSpace({**PLAN, **change})
