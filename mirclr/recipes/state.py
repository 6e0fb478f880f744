"""What a recipe has done so far: one JSON file in its output folder, replaced atomically after every step.

A step is done when it finished with the same options, the same version of mirclr, the same inputs, and its outputs
are still there. Inputs are recognised by size and time of change, as `make` does: hashing a music library would take
longer than most steps.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mirclr import __version__
from mirclr.errors import ConfigError, UsageError
from mirclr.files import write_atomic
from mirclr.recipes.plan import Plan, Step
from mirclr.recipes.step import Outcome

FILE, FORMAT = "recipe.json", 1


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _files(path: Path) -> Iterator[str]:
    """A line per file below `path`, links followed once each; a file is its own only line."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        here = os.stat(folder)
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        for name in names:
            facts = os.lstat(os.path.join(folder, name))
            yield f"{os.path.relpath(folder, path)}/{name}\t{facts.st_size}\t{facts.st_mtime_ns}"


def identity(path: Path) -> str:
    """A digest that differs when the file, or any file of the folder, changed in name, size or time of change."""
    if path.is_dir():
        return _digest("\n".join(sorted(_files(path))))
    if not path.exists():
        return "absent"
    facts = path.stat()
    return _digest(f"{facts.st_size}\t{facts.st_mtime_ns}")


def fingerprint(step: Step) -> dict[str, str]:
    """Everything that decides whether a step is out of date, part by part: `options`, one part per input, and one per
    option from which the step grows."""
    options = step.options.model_dump(mode="json")
    growing = {name: options.pop(name) for name in sorted(step.grows & options.keys() - step.reads.keys())}
    return {
        "options": _digest(f"{__version__}\n{step.run}\n{json.dumps(options, sort_keys=True)}"),
        **{name: _digest(json.dumps(value, sort_keys=True)) for name, value in growing.items()},
        **{name: identity(path) for name, path in step.reads.items()},
    }


class State:
    """The state file of one output folder. Every change is on the disk before the method returns."""

    def __init__(self, plan: Plan) -> None:
        """Makes the folder and reads the file where there is one.

        Raises UsageError when the folder cannot be made or belongs to another recipe, ConfigError on damage.
        """
        try:
            plan.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{plan.out}: cannot be the output folder: {error.strerror}; choose another with -o"
            ) from error
        self.path = plan.out / FILE
        self._recipe = plan.recipe.name
        self._steps: dict[str, dict[str, Any]] = _read(self.path, plan.recipe.name)

    def is_done(self, step: Step, parts: Mapping[str, str]) -> bool:
        """Whether the step finished with this fingerprint and its outputs are still there."""
        entry = self._steps.get(step.id, {})
        return bool(entry.get("outcome")) and entry["parts"] == parts and all(p.exists() for p in step.writes.values())

    def outcome(self, step: Step) -> Outcome:
        """What a finished step left for people."""
        saved = self._steps[step.id]["outcome"]
        return Outcome(saved["made"], *(tuple(saved[name]) for name in ("card", "says", "quarantine")))

    def make_room(self, step: Step, parts: Mapping[str, str]) -> None:
        """Removes what an outdated run of this step left, unless only an input changed from which it grows.

        What was begun with this very fingerprint stays: the step goes on from it. Raises UsageError where something
        stands that this recipe did not make.
        """
        before = self._steps.get(step.id, {}).get("parts")
        for path in step.writes.values():
            if not path.exists() or (path.is_dir() and not any(path.iterdir())):
                continue
            if before is None:
                raise UsageError(f"{path} is in the way and was not made by this recipe: choose another folder with -o")
            changed = {name for name in {*parts, *before} if parts.get(name) != before.get(name)}
            if not changed <= step.grows:
                _remove(path)

    def begin(self, step: Step, parts: Mapping[str, str]) -> None:
        """Notes that the step's outputs are now this recipe's, finished or not."""
        self._save(step.id, {"parts": dict(parts), "outcome": None})

    def finish(self, step: Step, outcome: Outcome) -> None:
        """Notes what the step left for people."""
        self._save(step.id, {**self._steps[step.id], "outcome": asdict(outcome)})

    def forget(self, step: Step) -> None:
        """Makes a finished step out of date; its outputs remain known as this recipe's."""
        if step.id in self._steps:
            self._save(step.id, {"parts": {}, "outcome": None})

    def _save(self, step_id: str, entry: dict[str, Any]) -> None:
        self._steps[step_id] = entry
        text = json.dumps({"format": FORMAT, "recipe": self._recipe, "steps": self._steps}, indent=2) + "\n"
        write_atomic(self.path, text)


def _read(path: Path, recipe: str) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text("utf-8"))
        saved, steps = data["recipe"], dict(data["steps"])
        known = data["format"] == FORMAT and all("parts" in s and "outcome" in s for s in steps.values())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(str(path), [f"damaged ({error}): delete it to start over, or choose another -o"]) from error
    if not known:
        raise ConfigError(str(path), ["written by another version: delete it to start over, or choose another -o"])
    if saved != recipe:
        raise UsageError(f"{path.parent} holds the recipe {saved!r}, not {recipe!r}: choose another folder with -o")
    return steps


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
