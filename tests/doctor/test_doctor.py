"""The doctor finds what is missing, names the remedy, and does not call a healthy machine ill."""

from __future__ import annotations

import builtins
import importlib
import importlib.metadata
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from mirclr import doctor
from mirclr.cli.doctor import doctor as command
from mirclr.errors import AudioError
from mirclr.reports import finish

decode_module = importlib.import_module("mirclr.audio.decode")


def by_name(findings: Any) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in findings}


def test_every_format_is_really_decoded_here() -> None:
    found = by_name(doctor.decoders())
    assert set(found) == {f"decode {kind}" for kind in doctor.FORMATS}
    assert {finding.state for finding in found.values()} == {"ok"}, found


def test_a_decoder_that_hears_another_pitch_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.sin(np.arange(8000) * 1.3).astype(np.float32)
    monkeypatch.setattr(decode_module, "decode", lambda path, rate: noise)
    finding = doctor._decoder("wav", tmp_path / "tone.wav")
    assert (finding.state, finding.value[:32]) == ("missing", "a tone of 440 Hz came back as 33")
    assert "pip install" in finding.remedy


def test_a_decoder_that_refuses_is_missing_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, rate: int) -> np.ndarray:
        raise AudioError(path, "unsupported", "no decoder for this")

    monkeypatch.setattr(decode_module, "decode", refuse)
    finding = doctor._decoder("mp3", tmp_path / "tone.mp3")
    assert (finding.state, finding.remedy) == ("missing", "pip install --force-reinstall soundfile av")
    assert "unsupported: no decoder for this" in finding.value


def test_silence_instead_of_sound_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "decode", lambda path, rate: np.zeros(0, np.float32))
    assert doctor._decoder("flac", tmp_path / "tone.flac").state == "missing"


def test_a_format_that_cannot_be_written_here_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.FORMATS, "wma", ("av", 44_100, "asf", "no_such_codec"))
    finding = doctor._decoder("wma", tmp_path / "tone.wma")
    assert finding.state == "note"
    assert finding.value.startswith("not tried: this av cannot write no_such_codec")


def test_torchaudio_that_does_not_load_is_a_note_that_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "Traceback\nOSError: libcudart.so.13: cannot open\n")

    monkeypatch.setattr(subprocess, "run", broken)
    (finding,) = doctor.torchaudio_native()
    assert finding.state == "note"
    assert "OSError: libcudart.so.13: cannot open" in finding.value
    assert "nothing in mirclr needs it" in finding.value


def _installed(versions: dict[str, str]) -> Callable[[str], str]:
    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    return version


def test_absent_packages_are_missing_and_absent_extras_are_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["numpy<2.5,>=2.0", "soxr>=0.5", "pyarrow>=17; extra == 'tables'", "ruff>=0.8; extra == 'dev'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs)
    monkeypatch.setattr(importlib.metadata, "version", _installed({"mirclr": "0.1.0", "numpy": "2.4.6"}))
    found = by_name(doctor.packages())
    assert found["numpy"] == doctor.Finding("numpy", "ok", "2.4.6")
    assert found["soxr"] == doctor.Finding("soxr", "missing", "not installed", doctor.REINSTALL)
    assert (found["pyarrow"].state, found["pyarrow"].remedy) == ("note", "pip install 'mirclr[tables]'")
    assert "ruff" not in found


def test_every_extra_says_what_works_without_it() -> None:
    extras = [line for line in importlib.metadata.requires("mirclr") or [] if "extra ==" in line and "dev" not in line]
    assert {line.split(">")[0] for line in extras} == set(doctor.WITHOUT_EXTRA)


def test_torch_that_cannot_be_imported_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise OSError("libtorch.so: cannot open shared object file")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    (finding,) = doctor.torch_findings()
    assert (finding.state, finding.remedy) == ("missing", doctor.REINSTALL)
    assert "libtorch.so" in finding.value


def test_threads_name_the_variable_that_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert by_name(doctor.torch_findings())["threads"].value.endswith("OMP_NUM_THREADS=1")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert by_name(doctor.torch_findings())["threads"].value.endswith("OMP_NUM_THREADS is not set")


def test_the_cache_is_weighed_and_made_nowhere(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(bytes(3 * 1024))
    (held,) = doctor.cache_findings(tmp_path)
    assert (held.state, ": 3.0 KiB held, " in held.value) == ("ok", True)
    (absent,) = doctor.cache_findings(tmp_path / "not" / "yet")
    assert (absent.state, ": 0 B held, " in absent.value) == ("ok", True)
    assert not (tmp_path / "not").exists()


def test_a_cache_in_the_place_of_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (finding,) = doctor.cache_findings(tmp_path / "file" / "cache")
    assert (finding.state, "MIRCLR_CACHE" in finding.remedy) == ("missing", True)


def test_the_examination_reports_its_progress_and_gathers_everything(tmp_path: Path) -> None:
    seen: list[str] = []
    found = by_name(finish(doctor.examine(tmp_path), lambda report: seen.append(report.note)))
    assert seen == ["packages", "torch", "torchaudio", "decoders", "cache", ""]
    assert {"python", "torch", "device", "threads", "torchaudio native half", "decode m4a", "cache"} <= set(found)


@pytest.mark.parametrize(
    ("state", "code", "talk"), [("ok", 0, "everything"), ("note", 0, "everything"), ("missing", 3, "missing: x")]
)
def test_only_what_is_missing_changes_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, state: doctor.State, code: int, talk: str
) -> None:
    def one() -> Any:
        yield from ()
        return [doctor.Finding("x", state, "a value", "a remedy")]

    monkeypatch.setattr(doctor, "examine", one)
    plain = CliRunner().invoke(command, [])
    assert (plain.exit_code, plain.stdout) == (code, f"name\tstate\tvalue\tremedy\nx\t{state}\ta value\ta remedy\n")
    assert talk in plain.stderr
    data = json.loads(CliRunner().invoke(command, ["--json"]).stdout)
    assert data == [{"name": "x", "state": state, "value": "a value", "remedy": "a remedy"}]
