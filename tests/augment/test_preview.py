"""`mirclr augment`: the table of effects, and an excerpt to hear and see under each of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from mirclr.augment.table import EFFECTS, effect_rows
from mirclr.cli.main import main
from mirclr.plots.effects import draw_effect
from mirclr.plots.figure import new_figure
from tests.support.tones import RATE as FILE_RATE
from tests.support.tones import tone_track

PNG = b"\x89PNG\r\n\x1a\n"
RATE = 16_000


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["augment", *map(str, words)])


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "a <b> [red].flac"
    soundfile.write(path, tone_track(1, 3.0), FILE_RATE)
    return path


def test_the_list_is_the_table_of_the_code() -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0] == ["name", "domain", "changes", "what"]
    assert [line[0] for line in lines[1:]] == list(EFFECTS)
    assert json.loads(run("list", "--json").stdout) == effect_rows()


def test_every_effect_has_a_picture_every_wave_effect_a_sound_and_the_page_holds_them(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Laying out forty pictures takes ten seconds; that a real one is drawn is the next test's.
    monkeypatch.setattr("mirclr.plots.preview.draw_effect", lambda *_, **__: new_figure(1, 1))
    out = tmp_path / "made" / "here"
    result = run("preview", song, "-o", out, "--seconds", 0.5, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == list(EFFECTS)
    page = (out / "index.html").read_text("utf-8")
    original, rate = soundfile.read(out / "original.wav", dtype="float32")
    assert (rate, len(original)) == (RATE, RATE // 2)
    for row in rows:
        assert (out / row["picture"]).read_bytes().startswith(PNG)
        assert f'src="{row["picture"]}"' in page
        assert (row["sound"] == "") == (row["domain"] == "spec")
        if row["sound"]:
            sound, rate = soundfile.read(out / row["sound"], dtype="float32")
            assert (rate, len(sound)) == (RATE, len(original))
            assert not np.array_equal(sound, original)
            assert f'src="{row["sound"]}"' in page
    assert "a &lt;b&gt; [red].flac" in page
    assert "<b>" not in page


def test_what_is_written_is_what_was_drawn(song: Path, tmp_path: Path) -> None:
    rows = json.loads(run("preview", song, "-o", tmp_path, "--effect", "gain", "--seed", 3, "--json").stdout)
    drawn = float(rows[0]["drawn"].removeprefix("db="))
    original, _ = soundfile.read(tmp_path / "original.wav")
    louder, _ = soundfile.read(tmp_path / "gain.wav")
    assert 20 * np.log10(np.std(louder) / np.std(original)) == pytest.approx(drawn, abs=0.01)
    picture = (tmp_path / "gain.png").read_bytes()
    assert picture.startswith(PNG)
    assert len(picture) > 20_000  # two spectrograms, not an empty page


def test_a_seed_draws_the_same_in_any_company_and_another_seed_another(song: Path, tmp_path: Path) -> None:
    def heard(seed: int, *effects: str) -> bytes:
        words = [word for name in effects for word in ("--effect", name)]
        assert run("preview", song, "-o", tmp_path, "--seed", seed, "--seconds", 0.5, *words).exit_code == 0
        return (tmp_path / "noise.wav").read_bytes()

    alone = heard(0, "noise")
    assert heard(0, "gain", "noise") == alone
    assert heard(1, "noise") != alone


def test_the_excerpt_is_the_one_asked_for(song: Path, tmp_path: Path) -> None:
    whole = ("preview", song, "--effect", "polarity", "-o")
    assert run(*whole, tmp_path / "all", "--seconds", 3).exit_code == 0
    assert run(*whole, tmp_path / "part", "--seconds", 0.5, "--start", 1).exit_code == 0
    everything, _ = soundfile.read(tmp_path / "all" / "original.wav")
    part, _ = soundfile.read(tmp_path / "part" / "original.wav")
    np.testing.assert_allclose(part, everything[RATE : RATE + RATE // 2], atol=1e-5)
    turned, _ = soundfile.read(tmp_path / "part" / "polarity.wav")
    assert np.array_equal(turned, -part)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--effect", "time_maks"], 2, "no effect 'time_maks'. Did you mean 'time_mask'?"),
        (["--start", "9"], 2, "ends before 9 s"),
        (["--seconds", "0"], 2, "not in the range"),
        (["--seed", "-1"], 2, "not in the range"),
    ],
)
def test_mistakes_are_usage_and_leave_nothing(
    song: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    result = run("preview", song, "-o", tmp_path / "out", *words)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_music_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "fake.mp3").write_text("no music here")
    for name, reason in (("fake.mp3", "not_audio"), ("none.mp3", "missing_file")):
        result = run("preview", tmp_path / name, "-o", tmp_path / "out")
        assert result.exit_code == 1
        assert reason in result.stderr


def test_a_folder_that_cannot_be_made_is_usage(song: Path) -> None:
    result = run("preview", song, "-o", song / "out", "--effect", "gain")
    assert result.exit_code == 2
    assert "Not a directory" in result.stderr


def test_a_picture_shows_both_sides_in_the_same_decibels() -> None:
    before = np.log(10) / 10 * np.arange(12.0).reshape(3, 4)
    figure = draw_effect(before, before + np.log(10), "louder", hop_s=0.5, hertz=np.array([90.0, 350.0, 4000.0]))
    left, right = (axes.images[0] for axes in figure.axes[:2])
    assert left.get_clim() == right.get_clim() == pytest.approx((21 - 80, 21))
    np.testing.assert_allclose(right.get_array() - left.get_array(), 10)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["100", "300", "1000", "3000"]
    assert list(figure.axes[0].get_yticks()) == sorted(figure.axes[0].get_yticks())
    with pytest.raises(ValueError, match="one shape"):
        draw_effect(before, before[:, 1:], "cut", hop_s=0.5, hertz=np.ones(3))
