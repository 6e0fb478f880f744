"""What a space keeps and what it ignores, as a change of the augmentation chains: plain parts in, plain parts out.

An encoder learns to ignore what its views differ in. To keep an attribute, every effect that changes it goes; to ignore
one, an effect that changes it is put in, or, where it is there already, made stronger and more likely. What effects
change is said by themselves (`Effect.changes`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirclr.augment.table import EFFECTS
from mirclr.config import nearest

Parts = Sequence[Mapping[str, Any]]
Chains = Mapping[str, Parts]
"""Chains by domain, "wave" and "spec", of parts as `build_chain` takes them."""

ATTRIBUTES = tuple(sorted({attribute for effect in EFFECTS.values() for attribute in effect.changes}))

OFTEN = 0.8
"""The least probability of an effect whose attribute is to be ignored: one pair in 25 then has it in neither view."""

LAST = ("time_mask", "frequency_mask", "patch_mask")
"""Masks end a chain: what is put in goes before them, so that no later effect moves or blurs a mask."""

STRONG: Mapping[str, Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "tempo": {
        "spec": ({"name": "time_warp", "max_rate": 1.25},),
        "wave": ({"name": "time_stretch", "max_rate": 1.25},),
    },
    "key": {
        "spec": ({"name": "frequency_shift", "max_bins": 6.0},),
        "wave": ({"name": "pitch_shift", "max_semitones": 6.0},),
    },
    "pitch": {
        "spec": ({"name": "frequency_shift", "max_bins": 6.0},),
        "wave": ({"name": "pitch_shift", "max_semitones": 6.0},),
    },
    "timbre": {
        "spec": ({"name": "spec_eq", "max_db": 15.0}, {"name": "frequency_mask", "max_fraction": 0.3}),
        "wave": ({"name": "random_eq", "max_db": 15.0}, {"name": "noise", "min_snr_db": 5.0}),
    },
    "loudness": {
        "spec": ({"name": "spec_gain", "max_db": 15.0},),
        "wave": ({"name": "gain", "max_db": 15.0},),
    },
    "order": {"spec": ({"name": "spec_roll"},), "wave": ({"name": "time_shift"},)},
    "content": {
        "spec": ({"name": "background_mix", "max_share": 0.5}, {"name": "time_mask", "max_fraction": 0.35}),
        "wave": ({"name": "wave_mix", "min_snr_db": 0.0},),
    },
    "phase": {"spec": (), "wave": ({"name": "phase_rotation"},)},
}
"""For every attribute and domain the effects that make a space ignore it, wider than by default, the best one first."""


@dataclass(frozen=True)
class Shaped:
    """The changed `chains`, and `notes`: a line for everything that was done and for what the space loses by it."""

    chains: dict[str, list[dict[str, Any]]]
    notes: tuple[str, ...]


def changed_by(chains: Chains) -> set[str]:
    """Every attribute that some effect of the chains changes."""
    return {attribute for parts in chains.values() for part in parts for attribute in _changes(part)}


def shaped(chains: Chains, keep: Collection[str] = (), ignore: Collection[str] = ()) -> Shaped:
    """`chains` without any effect that changes an attribute in `keep`, and with strong ones for those in `ignore`.

    Raises ValueError, every mistake in a line of its own: a word that is no attribute, one that is both kept and
    ignored, one to be kept that nothing in the chains changes, one to be ignored that only effects change which also
    change what is kept.
    """
    problems = _problems(chains, keep, ignore)
    if problems:
        raise ValueError("\n".join(problems))
    out = {domain: [dict(part) for part in chains.get(domain, ())] for domain in ("wave", "spec")}
    notes = _remove(out, keep)
    for attribute in dict.fromkeys(ignore):
        for domain, strong in _chosen(chains, attribute, keep):
            notes.append(f"to ignore {attribute}: {_strengthen(out[domain], strong)}")
    lost = sorted(changed_by(chains) - changed_by(out) - set(keep))
    if lost:
        notes.append(f"nothing else changes {', '.join(lost)}: the space no longer learns to ignore that either")
    return Shaped(out, tuple(notes))


def head_problems(chains: Chains, heads: Sequence[str]) -> list[str]:
    """Why an attribute cannot have a space of its own, in which views differ by what changed it; a line each.

    A word that is no attribute or stands there twice; one that nothing in the chains changes; one that an effect
    changes which mixes: what lies under a view is another item of the batch, and no second view can have the same.
    """
    unknown = [f"no attribute {word!r}.{nearest(word, ATTRIBUTES)}" for word in heads if word not in ATTRIBUTES]
    twice = [f"{word} is given twice" for word in dict.fromkeys(heads) if list(heads).count(word) > 1]
    if unknown or twice:
        return unknown + twice
    unchanged = [word for word in heads if word not in changed_by(chains)]
    still = [f"nothing in the chain changes {word}: there is nothing to tell apart" for word in unchanged]
    parts = [part for chain in chains.values() for part in chain if _changes(part) and EFFECTS[part["name"]].mixes]
    mixed = [
        f"{part['name']} changes {word} by another item of the batch, which two views cannot share; leave it out"
        for word in heads
        for part in parts
        if word in _changes(part)
    ]
    return still + mixed


def _changes(part: Mapping[str, Any]) -> tuple[str, ...]:
    """What a part changes; nothing where there is no such effect, which is for the chain builder to say."""
    name = part.get("name")
    return EFFECTS[name].changes if name in EFFECTS else ()


def _problems(chains: Chains, keep: Collection[str], ignore: Collection[str]) -> list[str]:
    words = dict.fromkeys([*keep, *ignore])
    problems = [f"no attribute {word!r}.{nearest(word, ATTRIBUTES)}" for word in words if word not in ATTRIBUTES]
    problems += [f"{word} cannot be both kept and ignored" for word in words if word in keep and word in ignore]
    if problems:
        return problems
    changed = changed_by(chains)
    kept = [word for word in words if word in keep and word not in changed]
    problems = [f"nothing in the chain changes {word}: it is kept already" for word in kept]
    blocked = [word for word in words if word in ignore and not _chosen(chains, word, keep)]
    return problems + [_blocked(chains, word, keep) for word in blocked]


def _blocked(chains: Chains, attribute: str, keep: Collection[str]) -> str:
    usable = STRONG[attribute][_home(chains)]
    if not usable:
        return f"a log-mel has no {attribute}: spaces made from it ignore it already"
    ways = ", ".join(f"{s['name']} (changes {', '.join(EFFECTS[s['name']].changes)})" for s in usable)
    against = sorted(set(keep) & {word for s in usable for word in EFFECTS[s["name"]].changes})
    return f"{attribute} cannot be ignored while {', '.join(against)} is kept; the effects for it: {ways}"


def _home(chains: Chains) -> str:
    """Where new effects go: to the frames, unless the chain works on samples alone."""
    return "wave" if chains.get("wave") and not chains.get("spec") else "spec"


def _chosen(chains: Chains, attribute: str, keep: Collection[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """(domain, strong part): the best that spares what is kept, wherever it is used already, else at home if it can."""
    found: dict[str, Mapping[str, Any]] = {}
    for domain, usable in STRONG[attribute].items():
        spared = [strong for strong in usable if not set(keep) & set(EFFECTS[strong["name"]].changes)]
        if spared:
            found[domain] = spared[0]
    used = [d for d, s in found.items() if any(part.get("name") == s["name"] for part in chains.get(d, ()))]
    return [(domain, found[domain]) for domain in used or [_home(chains)] if domain in found]


def _remove(chains: dict[str, list[dict[str, Any]]], keep: Collection[str]) -> list[str]:
    """Takes every effect out that changes what is kept; a line for each."""
    notes = []
    for domain, parts in chains.items():
        gone = [part for part in parts if set(keep) & set(_changes(part))]
        chains[domain] = [part for part in parts if part not in gone]
        for part in gone:
            why = ", ".join(sorted(set(keep) & set(_changes(part))))
            notes.append(f"to keep {why}: {part['name']} removed (it changes {', '.join(_changes(part))})")
    return notes


def _strengthen(parts: list[dict[str, Any]], strong: Mapping[str, Any]) -> str:
    """Makes every such part of a chain at least as strong and as likely, or puts one in; what was done."""
    there = [part for part in parts if part.get("name") == strong["name"]]
    for part in there:
        part.update(_stronger(part, strong))
    if not there:
        there = [{**strong, "p": OFTEN}]
        masks = [place for place, part in enumerate(parts) if part.get("name") in LAST]
        parts.insert(masks[0] if masks else len(parts), there[0])
    told = [f"{key}={there[0][key]:g}" for key in ("p", *strong) if key != "name"]
    return f"{strong['name']} with {', '.join(told)}"


def _stronger(part: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """The options to change: each the farther one from the effect's default of its own and the strong value."""
    out = {"p": max(part.get("p", 1.0), OFTEN)}
    for key, value in strong.items():
        if key != "name":
            default = getattr(EFFECTS[strong["name"]], key)  # of a dataclass field
            farther = max if value > default else min
            out[key] = farther(part.get(key, default), value)
    return out
