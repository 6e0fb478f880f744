"""Every augmentation of one excerpt, to listen to and to look at: sounds, pictures and a page that holds them."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from torch import Tensor

from mirclr.audio.decode import decode
from mirclr.augment.chain import Drawn
from mirclr.augment.table import EFFECTS, build_chain, effect_rows
from mirclr.config import AudioConfig, nearest
from mirclr.errors import UsageError
from mirclr.files import write_atomic
from mirclr.models.frontend import LogMel
from mirclr.plots.effects import draw_effect
from mirclr.plots.figure import save_png
from mirclr.reports import Progress, Work
from mirclr.seeds import generator
from mirclr.units import printable

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 15px sans-serif; margin: 2em auto; max-width: 62em }} img {{ width: 100% }}</style>
<h1>{title}</h1>
<p>{story}</p>
<audio controls src="original.wav"></audio>
{parts}
</html>
"""

PART = """<h2>{name}</h2>
<p>{what} <i>Changes {changes}.</i><br><code>{drawn}</code></p>
{player}<img src="{picture}" alt="log-mel spectrogram before and after {name}">"""


@dataclass(frozen=True)
class Shown:
    """One effect of a preview: its name, its domain, what was drawn, and its files; `sound` is empty for spec effects,
    which have no samples."""

    name: str
    domain: str
    drawn: str
    picture: str
    sound: str


def preview(
    path: Path,
    folder: Path,
    *,
    effects: Sequence[str] = (),
    seed: int = 0,
    seconds: float = 4.0,
    start_s: float = 0.0,
    sample_rate: int = AudioConfig().sample_rate,
) -> Work[list[Shown]]:
    """Write into `folder` (made if need be) original.wav, NAME.wav of every wave effect, NAME.png of every effect, and
    index.html; returns a row per effect. The same seed draws the same, whatever other effects are asked for.

    Effects that mix lay the excerpt under itself, turned around by half its length: a file has no batch of others.
    Raises AudioError, and UsageError on an unknown effect, on a start behind the end and where nothing can be written.
    """
    names = list(dict.fromkeys(effects)) or list(EFFECTS)
    for name in names:
        if name not in EFFECTS:
            raise UsageError(f"no effect {name!r}.{nearest(name, EFFECTS)}")
    samples = decode(path, sample_rate, start_s, seconds)
    if len(samples) == 0:
        raise UsageError(f"{printable(path)}: ends before {start_s:g} s")
    studio = _Studio(torch.from_numpy(samples)[None], sample_rate, seed, folder)
    rows = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        studio.write_sound("original.wav", studio.samples)
        for done, name in enumerate(names):
            yield Progress("effects", done, len(names), name)
            rows.append(studio.show(name))
        story = f"{len(samples) / sample_rate:.2f} s from {start_s:g} s on, seed {seed}"
        write_atomic(folder / "index.html", _page(printable(path.name), story, rows))
    except OSError as error:
        raise UsageError(f"{printable(folder)}: {error.strerror or error}") from error
    yield Progress("effects", len(names), len(names))
    return rows


class _Studio:
    """One excerpt `(1, T)`, and how an effect of it is drawn, applied and written."""

    def __init__(self, samples: Tensor, sample_rate: int, seed: int, folder: Path) -> None:
        self.samples, self.rate, self.seed, self.folder = samples, sample_rate, seed, folder
        self.frontend = LogMel(sample_rate)
        self.frames = self.frontend(samples)
        filters = self.frontend.filters
        bins = torch.arange(filters.shape[1]) * (sample_rate / self.frontend.n_fft)
        self.hertz = (filters @ bins / filters.sum(1)).numpy()

    def show(self, name: str) -> Shown:
        """Draw the effect, apply it, write its files."""
        domain = EFFECTS[name].domain
        chain = build_chain([{"name": name}], domain, self.rate)
        drawn = chain.draw([generator(self.seed, name)])
        before = self.samples if domain == "wave" else self.frames
        after = chain.apply(before, drawn, background=before.roll(before.shape[-1] // 2, -1))
        said = _parameters(drawn)
        seen = self.frontend(after) if domain == "wave" else after
        hop_s = self.frontend.hop / self.rate
        figure = draw_effect(self.frames[0].numpy(), seen[0].numpy(), f"{name}: {said}", hop_s=hop_s, hertz=self.hertz)
        picture = save_png(figure, self.folder / f"{name}.png").name
        sound = self.write_sound(f"{name}.wav", after) if domain == "wave" else ""
        return Shown(name, domain, said, picture, sound)

    def write_sound(self, name: str, samples: Tensor) -> str:
        """Floating-point WAV, so that the file clips nothing; scipy's, as libsndfile's holds the time of writing."""
        file = io.BytesIO()
        wavfile.write(file, self.rate, samples[0].numpy())
        write_atomic(self.folder / name, file.getvalue())
        return name


def _parameters(drawn: Drawn) -> str:
    """The parameters of a batch of one in words: `rate=1.05, db=3.2 -1.4`."""
    parts = {key: np.atleast_1d(value[0]) for key, value in drawn.parameters[0].items()}
    return ", ".join(f"{key}={' '.join(_number(v) for v in values.ravel())}" for key, values in parts.items())


def _number(value: np.generic) -> str:
    return str(value) if isinstance(value, np.integer) else f"{value:.4g}"


def _page(name: str, story: str, rows: Sequence[Shown]) -> str:
    told = {told["name"]: told for told in effect_rows()}
    parts = "\n".join(_part({**asdict(row), **told[row.name]}) for row in rows)
    return PAGE.format(title=html.escape(f"Augmentations of {name}"), story=html.escape(story), parts=parts)


def _part(words: Mapping[str, str]) -> str:
    safe = {key: html.escape(value) for key, value in words.items()}
    player = f'<audio controls src="{safe["sound"]}"></audio>\n' if safe["sound"] else ""
    return PART.format(player=player, **safe)
