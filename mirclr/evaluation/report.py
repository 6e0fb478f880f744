"""The report card: every row judged alike, differences tested, and a sentence that says whether pretraining helped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from mirclr.datasets.collection import Collection
from mirclr.errors import UsageError
from mirclr.evaluation.about import About, about, parameters_of
from mirclr.evaluation.bootstrap import DRAWS, FEW_GROUPS
from mirclr.evaluation.card import ALSO_COMPARED, Report, Row
from mirclr.evaluation.exams import Exams, Sat, protocol_sections, scores_of, sit
from mirclr.evaluation.further import further_sections
from mirclr.evaluation.fusion import fused_vectors, fusions
from mirclr.evaluation.given import Table
from mirclr.evaluation.judge import Judge, Judged, mean_of, spread_of
from mirclr.evaluation.material import Material
from mirclr.evaluation.protocols import ALWAYS, PROTOCOLS
from mirclr.evaluation.retrieval import TOLD, near_duplicates
from mirclr.evaluation.rows import CHANCE, HANDCRAFTED, Candidate, Encoder, Kind, candidates, distinct, extractors_of
from mirclr.evaluation.sections import Section
from mirclr.evaluation.subject import Embed, Subject, embed_collection
from mirclr.evaluation.verdict import PRETRAINING, ROWS, Comparison, Story, compare
from mirclr.features.embed import embed_tracks
from mirclr.features.extractor import Extractor
from mirclr.features.handcrafted import MfccStatistics
from mirclr.reports import Progress, Work

FEWEST_SEEDS = 3


def evaluate(
    collection: Collection,
    encoders: Mapping[str, Encoder],
    *,
    untrained: Callable[[Encoder, int], Extractor] | None = None,
    families: Mapping[str, str] | None = None,
    previous: Mapping[str, Encoder] | None = None,
    random_seeds: int = 3,
    seed: int = 0,
    draws: int = DRAWS,
    embed: Embed | None = None,
    tables: Mapping[str, Table] | None = None,
    exams: Exams | None = None,
) -> Work[Report]:
    """Judge `encoders` and `tables` of vectors on `collection` beside chance, handcrafted vectors, untrained twins and
    their own fusions with handcrafted vectors.

    `exams`: what to ask beside the linear probe, kNN and retrieval. `embed` (default: `embed_tracks`, with the cache of
    the exams where there is one) embeds.
    `untrained(encoder, seed)` makes a twin (default: `mirclr.features.random_init.random_encoder`); `families` names
    encoders that differ only in their seed, so that their mean is judged too; `previous` encoders are rivals: what
    training went on from, or what is to be replaced. Deterministic from `seed`, but for the time it took.
    Raises UsageError on encoders that cannot be told apart, DatasetError on a collection that cannot be judged.
    """
    exams = exams or Exams()
    exams.check(collection.task)
    begun, given = time.perf_counter(), tables or {}
    how: dict[str, Any] = {"random_seeds": random_seeds, "seed": seed, "given": given, "previous": previous}
    asked = candidates(encoders, families or {}, untrained or _twin, handcrafted=HANDCRAFTED, **how)
    everyone = distinct([*asked, *fusions(asked)])
    embed = embed or partial(embed_tracks, cache=exams.cache)
    ready = {name: table.vectors for name, table in given.items()}
    subject = yield from embed_collection(collection, extractors_of(asked), embed, ready)
    judge = Judge(subject.problem, subject.ground, seed=seed, draws=draws)
    sat = yield from sit(exams, subject.problem, {c.name: partial(_material, subject, c, exams) for c in asked})
    judged = yield from _judged(subject, judge, everyone, sat)
    further = yield from further_sections(exams, subject, judge, asked, embed)
    own = protocol_sections(exams, subject.problem, collection.vocabulary, sat, judged)
    facts = about(collection, subject, time.perf_counter() - begun)
    return _report(collection, subject, judge, everyone, judged, facts, (*own, *further))


def _judged(
    subject: Subject, judge: Judge, everyone: list[Candidate], sat: Mapping[str, Sat]
) -> Work[dict[str, Judged]]:
    """Chance and every row, by what protocols answered too; they are not asked of fusions."""
    judged = {CHANCE: judge.chance()}
    for done, c in enumerate(everyone):
        yield Progress("judge", done, len(everyone), c.name)
        vectors = fused_vectors(c, subject.vectors) if c.members else subject.vectors[c.name]
        judged[c.name] = judge.row(vectors, scores_of(sat.get(c.name, {})))
    yield Progress("judge", len(everyone), len(everyone))
    return judged


def _material(subject: Subject, candidate: Candidate, exams: Exams) -> Material:
    """A row's vectors, and its clips where a protocol wants them and they are known."""
    vectors, extractor = subject.vectors[candidate.name], candidate.extractor
    if not exams.clips or exams.cache is None or extractor is None:
        return Material(vectors)
    paths = map(str, subject.tracks["path"])
    found = [exams.cache.read(extractor, exams.cache.content(path)) for path in paths]
    return Material(vectors, [segments for segments in found if segments is not None]) if all(found) else (
        Material(vectors)
    )  # fmt: skip


def _twin(encoder: Extractor, seed: int) -> Extractor:
    """The untrained twin of an encoder of mirclr's own."""
    from mirclr.features.encoder import EncoderExtractor
    from mirclr.features.random_init import random_encoder

    if not isinstance(encoder, EncoderExtractor):
        raise UsageError(f"{encoder.name}: say how its untrained twin is made (evaluate(..., untrained=...))")
    return random_encoder(encoder, seed)


def _report(
    collection: Collection,
    subject: Subject,
    judge: Judge,
    asked: list[Candidate],
    judged: dict[str, Judged],
    facts: About,
    sections: tuple[Section, ...],
) -> Report:
    rows = [Row(CHANCE, "chance", judged[CHANCE]), *(_row(c, judged[c.name], subject) for c in asked)]
    means = _family_means(asked, judged, judge.seed)
    twice = tuple(near_duplicates(subject.vectors[MfccStatistics.name]))
    return Report(
        collection=collection.name,
        task=collection.task,
        vocabulary=collection.vocabulary,
        tracks=subject.tracks,
        problem=subject.problem,
        main=judge.main,
        rows=(*rows, *means.values()),
        comparisons=tuple(_comparisons(judge.main, asked, judged, means)),
        notes=(
            *_uncautioned(collection),
            *_seed_notes(asked),
            *_interval_notes(subject),
            *_duplicate_notes(subject, twice),
        ),
        missing=collection.missing,
        quarantine=subject.quarantine,
        near_duplicates=twice,
        seed=judge.seed,
        draws=judge.draws,
        about=facts,
        sections=sections,
    )


def _row(candidate: Candidate, judged: Judged, subject: Subject) -> Row:
    return Row(
        candidate.name,
        candidate.kind,
        judged,
        candidate.dim,
        candidate.fingerprint,
        (*candidate.notes, *_fit_notes(judged)),
        parameters=parameters_of(*(c.extractor for c in candidate.members or (candidate,))),
        vectors=subject.vectors[candidate.name] if candidate.kind == "trained" else None,
    )


def _family_means(asked: list[Candidate], judged: Mapping[str, Judged], seed: int) -> dict[str, Row]:
    """The mean row of every family with more than one member."""
    out = {}
    for family in dict.fromkeys(c.family for c in asked):
        members = [c for c in asked if c.family == family]
        if len(members) > 1:
            rows = {c.name: judged[c.name] for c in members}
            spread = {key: spread_of(rows, key) for key in judged[members[0].name].measures}
            name = f"{family} (mean of {len(rows)} seeds)"
            notes = tuple(dict.fromkeys(note for c in members for note in c.notes))
            out[family] = Row(name, members[0].kind, mean_of(rows, seed), notes=notes, seeds=len(rows), spread=spread)
    return out


def _comparisons(
    main: str, asked: list[Candidate], judged: Mapping[str, Judged], means: Mapping[str, Row]
) -> list[Comparison]:
    """Every family with rivals (its mean over seeds where there are several) against each of them."""

    def row_of(family: str) -> tuple[str, Judged]:
        single = next(c.name for c in asked if c.family == family)
        return (means[family].name, means[family].judged) if family in means else (single, judged[single])

    rivals = {c.family: c for c in asked if c.rivals}
    metric = main.partition(".")[2]
    by_protocol = [f"{name}.{metric}" for name in PROTOCOLS if name not in ALWAYS]
    known = [key for key in (main, *by_protocol, *ALSO_COMPARED) if key in judged[asked[0].name].measures]
    return [
        compare(key, row_of(family), row_of(rival), _story(one.kind, rival, asked))
        for key in known
        for family, one in rivals.items()
        if key in row_of(family)[1].measures  # protocols are not asked of fusions
        for rival in one.rivals
    ]


def _story(kind: Kind, rival: str, asked: list[Candidate]) -> Story:
    """Against vectors that were never trained the question is whether pretraining helped; else which row is better."""
    against = next(c.kind for c in asked if c.family == rival)
    return PRETRAINING if kind == "trained" and against != "previous" else ROWS


def _uncautioned(collection: Collection) -> tuple[str, ...]:
    """The collection's notes without those that its cautions repeat."""
    return tuple(note for note in collection.notes if note not in collection.cautions)


def _seed_notes(asked: list[Candidate]) -> tuple[str, ...]:
    """Says whose luck nobody can tell from skill."""
    families = [c.family for c in asked if c.kind == "trained"]
    few = {family: families.count(family) for family in families if families.count(family) < FEWEST_SEEDS}
    return tuple(
        f"{family}: {count} of the {FEWEST_SEEDS} seeds that a spread over seeds needs; give as many runs that differ "
        "only in --seed"
        for family, count in few.items()
    )


def _fit_notes(judged: Judged) -> tuple[str, ...]:
    """Says when a probe's fit was stopped before it converged."""
    choices = judged.predictions.choices if judged.predictions else ()
    stopped = sum(choice.unconverged for choice in choices)
    return (f"{stopped} logistic fits did not converge while the penalty was chosen",) if stopped else ()


def _interval_notes(subject: Subject) -> tuple[str, ...]:
    artists = len(np.unique(subject.problem.groups))
    if artists >= FEW_GROUPS:
        return ()
    return (f"only {artists} artists: intervals over fewer than {FEW_GROUPS} artists are narrower than they should be",)


def _duplicate_notes(subject: Subject, twice: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    if not twice:
        return ()
    names = ", ".join(" = ".join(os.path.basename(subject.tracks["path"].iloc[i]) for i in pair) for pair in twice[:3])
    count = f"{len(twice)} or more" if len(twice) == TOLD else len(twice)
    return (
        f"{count} pair(s) of tracks sound almost the same ({names}{', ...' if len(twice) > 3 else ''}): where the "
        "artist is the same too, same-artist R@1 counts them as found, for every row alike",
    )
