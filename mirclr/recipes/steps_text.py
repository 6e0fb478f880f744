"""Steps in which text meets music: a joint space, and what texts find in it.

An argument is an option of the step, its default the option's default; see mirclr.recipes.steps.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from mirclr.config import merged, validate
from mirclr.errors import UsageError
from mirclr.recipes.options import Count, listed
from mirclr.recipes.step import Outcome, Reads, ReadsAll, Writes, one_or_more
from mirclr.reports import Work
from mirclr.training.align_config import AlignConfig

TableOrNone = Annotated[ReadsAll, Field(max_length=1)]


def _no_files_inside(config: AlignConfig) -> AlignConfig:
    """The files that make the step out of date are options of the step."""
    if config.encoder is not None or config.texts is not None or config.vectors:
        raise ValueError("give encoder, texts and vectors as options of the step, beside config")
    return config


AlignSettings = Annotated[AlignConfig, AfterValidator(_no_files_inside)]
Queries = Annotated[tuple[str, ...], BeforeValidator(one_or_more), Field(min_length=1)]


def align(
    folder: Reads,
    encoder: Reads,
    output: Writes,
    *,
    texts: TableOrNone = (),
    vectors: ReadsAll = (),
    config: AlignSettings = AlignConfig(),  # noqa: B008
) -> Work[Outcome]:
    """`mirclr align FOLDER --encoder ENCODER -o OUTPUT`, with `--resume` when it was cut short.

    `vectors`: files of further modalities, each named by its file: lyrics.npz is `lyrics`.
    """
    from mirclr.evaluation.text_scores import score_text
    from mirclr.training.align import align as train
    from mirclr.training.align_tracks import list_tracks

    files = {"encoder": encoder, "texts": texts[0] if texts else None, "vectors": {f.stem: f for f in vectors}}
    settings = validate(AlignConfig, merged(config.model_dump(), files), "align")
    found = yield from list_tracks([folder])
    done = yield from train(found, settings, output, resume=output.exists())
    scores = score_text(done.held_out, done.fields)
    scores.write(output / "held_out.json")
    said = (*done.notes, *scores.sentences)
    return Outcome({"joint": str(done.joint)}, scores.card(), said, listed(done.quarantine))


def search(store: Reads, joint: Reads, texts: Queries, output: Writes, count: Count = 5) -> Work[Outcome]:
    """`mirclr search TEXT --joint JOINT --store STORE` for every text; `output` is a csv of what they find."""
    import pandas as pd

    from mirclr.features.joint_file import load_joint
    from mirclr.files import write_atomic
    from mirclr.library.text_search import doubts, shelf_of_store
    from mirclr.library.text_search import search as find

    if output.suffix.lower() != ".csv":
        raise UsageError(f"{output}: what is found is written as .csv")
    yield from ()  # it takes no time that would be worth a bar
    space = load_joint(joint)
    shelf = shelf_of_store(space, store)
    rows = [
        {"text": text, "rank": rank, "similarity": round(hit.similarity, 4)}
        | {name: shelf.track(hit.row)[name] for name in ("artist", "title", "path")}
        for text in texts
        for rank, hit in enumerate(find(shelf, space, text, count), 1)
    ]
    write_atomic(output, pd.DataFrame(rows).to_csv(index=False))
    said = tuple(f"{text}: {doubt}" for text in texts for doubt in doubts(space, text))
    card = tuple({name: str(row[name] or "") for name in ("text", "rank", "artist", "title")} for row in rows)
    return Outcome({"found": str(output)}, card, said)
