"""What a tuning found, and in words what that is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Confirmed:
    """Scores of the winner and of the default, trained with a `seed` that chose nothing; None: did not train."""

    seed: int
    best: float | None
    default: float | None


@dataclass(frozen=True)
class Tuned:
    """`best`: the number of the winning trial, `values` its settings, `score` what it scored when it was chosen;
    `settings`, the file for `pretrain --config`; `rows` of all trials; `confirmed` pairs; `objective` by name."""

    best: int
    values: dict[str, Any]
    score: float
    settings: Path
    rows: list[dict[str, Any]]
    confirmed: tuple[Confirmed, ...]
    objective: str

    @property
    def gains(self) -> list[float]:
        """Winner less default of every pair that could be trained."""
        return [p.best - p.default for p in self.confirmed if p.best is not None and p.default is not None]

    def table(self, most: int = 10) -> list[dict[str, str]]:
        """Rows for people: the `most` best trials, then the confirming runs, each with its score and values."""
        done = sorted((row for row in self.rows if row["score"] is not None), key=lambda row: -row["score"])
        values = _texts(self.values, self.values)
        rows = [
            {"run": f"trial {r['trial']}", "score": text(r["score"]), **_texts(r, self.values)} for r in done[:most]
        ]
        for pair in self.confirmed:
            rows.append({"run": f"best, seed {pair.seed}", "score": text(pair.best), **values})
            rows.append({"run": f"default, seed {pair.seed}", "score": text(pair.default)})
        return rows

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {**asdict(self), "settings": str(self.settings), "gains": self.gains, "sentences": self.sentences}

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words, with what it is worth."""
        states = [row["state"] for row in self.rows]
        counts = ", ".join(f"{states.count(name)} {name}" for name in ("done", "pruned", "dropped") if name in states)
        return (
            f"{len(states)} trials ({counts}); the best is trial {self.best} with {self.objective} {self.score:.3f}, "
            "which is optimistic: it was chosen for it",
            self._worth(),
        )

    def _worth(self) -> str:
        gains, lost = self.gains, len(self.confirmed) - len(self.gains)
        failed = f" {lost} pair(s) could not be trained to their end." if lost else ""
        if not gains:
            return f"not confirmed: nothing says yet that it beats the default.{failed}"
        mean, seeds = sum(gains) / len(gains), f"{len(gains)} seed{'s' * (len(gains) > 1)} that chose nothing"
        if mean <= 0:
            return f"on {seeds} it does not beat the default ({mean:+.3f}): keep the default.{failed}"
        doubt = "" if len(gains) > 2 and min(gains) > 0 else "; that is little evidence, --confirm 3 or more gives more"
        return f"on {seeds} it beats the default by {mean:+.3f}{doubt}.{failed}"


def text(value: Any) -> str:
    """A value for a table: numbers to three digits, nothing for none."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _texts(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    return {name: text(row.get(name)) for name in names}
