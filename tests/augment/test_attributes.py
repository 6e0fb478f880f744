"""What is kept has no effect that changes it, what is ignored has a strong one, and contradictions are said."""

from __future__ import annotations

from typing import Any

import pytest

from mirclr.augment.attributes import ATTRIBUTES, OFTEN, STRONG, changed_by, head_problems, shaped
from mirclr.augment.table import EFFECTS, build_chain
from mirclr.config import AugmentConfig

DEFAULT = {"wave": [], "spec": [part.model_dump() for part in AugmentConfig().spec]}


def names(chain: list[dict[str, Any]]) -> list[str]:
    return [part["name"] for part in chain]


@pytest.mark.parametrize("attribute", sorted(changed_by(DEFAULT)))
def test_what_is_kept_is_changed_by_nothing_and_all_else_stays(attribute: str) -> None:
    done = shaped(DEFAULT, keep=[attribute])
    assert attribute not in changed_by(done.chains)
    assert done.chains["spec"] == [p for p in DEFAULT["spec"] if attribute not in EFFECTS[p["name"]].changes]
    gone = [name for name in names(DEFAULT["spec"]) if name not in names(done.chains["spec"])]
    assert [note.split()[3] for note in done.notes[: len(gone)]] == gone
    assert done.notes[0].startswith(f"to keep {attribute}: {gone[0]} removed (it changes ")


def test_what_is_lost_beside_is_said() -> None:
    assert shaped(DEFAULT, keep=["key"]).notes[-1] == (
        "nothing else changes pitch: the space no longer learns to ignore that either"
    )
    assert len(shaped(DEFAULT, keep=["tempo"]).notes) == 1


@pytest.mark.parametrize("attribute", [a for a in ATTRIBUTES if a != "phase"])
@pytest.mark.parametrize(
    "chains", [DEFAULT, {"wave": [{"name": "polarity"}], "spec": []}, {}], ids=["spec", "wave", "no"]
)
def test_what_is_ignored_is_changed_often_and_more_than_by_default(attribute: str, chains: dict[str, Any]) -> None:
    done = shaped(chains, ignore=[attribute])
    built = [build_chain(done.chains[domain], domain) for domain in ("wave", "spec")]
    strong = [s for chain in built for s in chain.steps if attribute in s.effect.changes and s.p >= OFTEN]
    assert strong
    home = "wave" if chains.get("wave") else "spec"
    (wanted, *_) = STRONG[attribute][home]
    part = next(part for part in done.chains[home] if part["name"] == wanted["name"])
    assert part.items() >= wanted.items()
    assert done.notes[0].startswith(f"to ignore {attribute}: {wanted['name']} with p=0.8")


def test_strong_options_really_are_stronger_than_the_defaults_and_their_effects_change_the_attribute() -> None:
    assert set(STRONG) == set(ATTRIBUTES)
    for attribute, domains in STRONG.items():
        for domain, usable in domains.items():
            for strong in usable:
                effect = EFFECTS[strong["name"]]
                assert (attribute in effect.changes, effect.domain) == (True, domain)
                assert all(strong[k] != getattr(effect, k) for k in strong if k != "name")
                build_chain([strong], domain)


def test_what_is_there_already_is_widened_never_narrowed_and_keeps_its_place_and_other_options() -> None:
    chains = {"spec": [{"name": "frequency_mask"}, {"name": "time_warp", "p": 0.9, "max_rate": 1.5}]}
    assert shaped(chains, ignore=["tempo"]).chains["spec"] == [
        {"name": "frequency_mask"},
        {"name": "time_warp", "p": 0.9, "max_rate": 1.5},
    ]
    loud = shaped({"wave": [{"name": "wave_mix", "p": 0.1, "max_snr_db": 9.0}]}, ignore=["content"]).chains["wave"]
    assert loud == [{"name": "wave_mix", "p": OFTEN, "max_snr_db": 9.0, "min_snr_db": 0.0}]


def test_a_part_without_p_is_always_on_and_stays_so() -> None:
    assert shaped({"spec": [{"name": "time_warp"}]}, ignore=["tempo"]).chains["spec"][0]["p"] == 1.0


def test_new_effects_go_before_the_masks_and_where_the_effect_is_used_already() -> None:
    chains = {"wave": [{"name": "pitch_shift", "p": 0.2}], "spec": [{"name": "spec_eq"}, {"name": "time_mask"}]}
    done = shaped(chains, ignore=["key", "tempo"]).chains
    assert done["wave"] == [{"name": "pitch_shift", "p": OFTEN, "max_semitones": 6.0}]
    assert names(done["spec"]) == ["spec_eq", "time_warp", "time_mask"]


def test_asking_twice_is_asking_once_and_the_input_is_not_touched() -> None:
    before = [dict(part) for part in DEFAULT["spec"]]
    once = shaped(DEFAULT, ignore=["tempo", "key"]).chains
    assert shaped(once, ignore=["tempo", "key"]).chains == once
    assert DEFAULT["spec"] == before


def test_an_effect_that_spares_what_is_kept_is_taken() -> None:
    done = shaped(DEFAULT, keep=["loudness"], ignore=["timbre"])
    assert changed_by(done.chains).isdisjoint({"loudness"})
    assert {"name": "frequency_mask", "p": OFTEN, "max_fraction": 0.3} in done.chains["spec"]


def test_unknown_effects_are_left_to_the_chain_builder() -> None:
    assert names(shaped({"spec": [{"name": "time_wrap"}]}, ignore=["tempo"]).chains["spec"]) == [
        "time_wrap",
        "time_warp",
    ]


@pytest.mark.parametrize(
    ("keep", "ignore", "said"),
    [
        (["temp"], [], r"no attribute 'temp'\. Did you mean 'tempo'\?"),
        (["key"], ["key"], "key cannot be both kept and ignored"),
        (["order"], [], "nothing in the chain changes order: it is kept already"),
        (
            ["key"],
            ["pitch"],
            r"pitch cannot be ignored while key is kept; .* frequency_shift \(changes key, pitch, timbre\)",
        ),
        ([], ["phase"], "a log-mel has no phase"),
        (["tempoo"], ["kee"], r"'tempo'\?\nno attribute 'kee'"),
    ],
)
def test_what_cannot_be_is_said_in_words(keep: list[str], ignore: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shaped(DEFAULT, keep, ignore)


def test_a_head_needs_an_effect_that_two_views_can_share() -> None:
    assert head_problems(DEFAULT, ["tempo", "key", "timbre", "loudness"]) == []
    masks = {"spec": [{"name": "time_mask"}], "wave": [{"name": "time_stretch"}]}
    assert head_problems(masks, ["content", "tempo"]) == []
    assert head_problems(DEFAULT, ["content", "order"]) == [
        "nothing in the chain changes order: there is nothing to tell apart",
        "background_mix changes content by another item of the batch, which two views cannot share; leave it out",
    ]
    assert head_problems(DEFAULT, ["key", "kee", "key"]) == [
        "no attribute 'kee'. Did you mean 'key'?",
        "key is given twice",
    ]
