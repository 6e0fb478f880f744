"""What a card holds beside its rows: label efficiency and robustness, a column a family of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mirclr.evaluation.exams import Exams
from mirclr.evaluation.judge import Judge, Judged, mean_of
from mirclr.evaluation.label_efficiency import FITS, efficiency_section, judge_few
from mirclr.evaluation.robustness import judge_worn, robustness_sections, wear
from mirclr.evaluation.rows import Candidate, extractors_of
from mirclr.evaluation.sections import Section
from mirclr.evaluation.subject import Embed, Subject
from mirclr.reports import Progress, Work


def further_sections(
    exams: Exams, subject: Subject, judge: Judge, asked: Sequence[Candidate], embed: Embed
) -> Work[tuple[Section, ...]]:
    """Label efficiency (of the linear probe, and of every protocol asked for that has one) and robustness."""
    out: list[Section] = []
    if exams.label_efficiency:
        for fit in [name for name in FITS if name == "linear" or name in exams.protocols]:
            few = {}
            for done, c in enumerate(asked):
                yield Progress(f"few labels ({fit})", done, len(asked), c.name)
                few[c.name] = judge_few(judge, subject.vectors[c.name], fit)
            yield Progress(f"few labels ({fit})", len(asked), len(asked))
            out.append(efficiency_section(fit, judge, by_family(asked, few, judge.seed)))
    if exams.robustness:
        heard = [c for c in asked if c.extractor is not None]
        worn = yield from wear(judge, subject.tracks, extractors_of(heard), embed)
        judged = {c.name: judge_worn(judge, subject.vectors[c.name], worn.vectors[c.name]) for c in heard}
        out += robustness_sections(judge, by_family(heard, judged, judge.seed))
    return tuple(out)


def by_family(asked: Sequence[Candidate], judged: Mapping[str, Judged], seed: int) -> dict[str, Judged]:
    """One row a family: its only member, or the mean over its seeds."""
    out = {}
    for family in dict.fromkeys(c.family for c in asked):
        members = {c.name: judged[c.name] for c in asked if c.family == family}
        name, row = next(iter(members.items()))
        out[f"{family} (mean of {len(members)} seeds)" if len(members) > 1 else name] = (
            mean_of(members, seed) if len(members) > 1 else row
        )
    return out
