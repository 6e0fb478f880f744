"""Fine-tuning as a protocol: every split answered by its own fit, beside the same from scratch, and resumed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from mirclr.cli.main import main
from mirclr.evaluation.exams import Exams
from mirclr.evaluation.runs import evaluate_runs
from mirclr.recipes.finetune_exam import with_finetuning
from mirclr.reports import finish
from tests.support.labelled_tones import labelled, labelled_folder, tiny_encoder, tuning


def test_fine_tuning_is_a_section_and_a_comparison(tmp_path: Path) -> None:
    labelled_folder(tmp_path / "music")
    found, run = labelled(tmp_path / "music"), tiny_encoder(tmp_path / "run")
    report = finish(evaluate_runs(found, [run], random_seeds=1, exams=Exams(), device="cpu"))
    given = (report, found, [run], tmp_path / "fits", tuning(tmp_path / "cache", budget={"steps": 3}))
    tuned = finish(with_finetuning(*given))
    (section,) = tuned.sections
    assert section.name == "protocol-finetune"
    assert [row[0] for row in section.rows] == ["tiny", "from scratch"]
    compared = tuned.comparisons[-1]
    assert (compared.measure, compared.ours, compared.rival) == ("finetune.accuracy", "tiny", "from scratch")
    accuracy = section.columns.index("accuracy")
    assert compared.our_value == section.rows[0][accuracy]
    told = pd.read_csv(tmp_path / "fits" / "encoder-0" / "split-0" / "predictions.csv")
    assert (told["true"] == told["predicted"]).mean() == section.rows[0][accuracy]
    assert (tmp_path / "fits" / "from-scratch" / "split-0" / "config.json").is_file()

    stages: set[str] = set()
    again = finish(with_finetuning(*given), lambda progress: stages.add(progress.stage))
    assert again.sections == tuned.sections
    assert "train" not in stages  # what was finished only answers again


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
