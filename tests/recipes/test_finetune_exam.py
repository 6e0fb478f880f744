"""Fine-tuning as a protocol: every split answered by its own fit, beside the same from scratch, and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirclr.cli.main import main
from tests.support.labelled_tones import labelled_folder, tiny_encoder


def test_fine_tuning_is_a_section_and_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRCLR_CACHE", str(tmp_path / "cache"))
    table, run = labelled_folder(tmp_path / "music"), tiny_encoder(tmp_path / "run")
    command = ["evaluate", str(table), "--split", "part", "--encoder", str(run), "--random-seeds", "1", "--json"]
    command += ["--protocol", "finetune", "--finetune-steps", "3", "-o", str(tmp_path / "card")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    (section,) = told["sections"]
    assert section["name"] == "protocol-finetune"
    assert [row[0] for row in section["rows"]] == ["tiny", "from scratch"]
    accuracy = section["columns"].index("accuracy")
    assert all(0 <= row[accuracy] <= 1 for row in section["rows"])
    (compared,) = [c for c in told["comparisons"] if c["measure"] == "finetune.accuracy"]
    assert (compared["ours"], compared["rival"]) == ("tiny", "from scratch")
    assert (tmp_path / "card" / "protocol-finetune.csv").is_file()

    again = CliRunner().invoke(main, command)  # everything is there: it only answers again
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["sections"] == told["sections"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--vectors", "v.npz", "--protocol", "finetune"], "name an --encoder"),
        (["--encoder", "run", "--finetune-steps", "3"], "--protocol finetune only"),
        ([], "name an --encoder or --vectors"),
        (["--encoder", "run", "--unlabelled", "--protocol", "hear"], "no use for --protocol"),
        (["--encoder", "run", "--unlabelled", "--label-efficiency"], "no use for --label-efficiency"),
    ],
)
def test_what_does_not_fit_together_is_said(words: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["evaluate", "labels.csv", *words])
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
