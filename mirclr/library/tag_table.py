"""Tags of a library as a file, CSV for spreadsheets and JSON with everything, and JSON read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mirclr.audio.tag_fields import check_field
from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.files import check_folder, write_atomic
from mirclr.library.playlist_formats import FORMULA

FORMAT, VERSION = "mirclr tags", 1
CSV_COLUMNS = ("path", "artist", "title", "field", "tags", "confidence", "value", "best", "best_confidence")
SEPARATOR = "; "


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `TaggedLibrary.rows` with one text a cell; several tags are joined by `SEPARATOR`."""
    joined = {
        name: SEPARATOR.join("" if tag[key] is None else str(tag[key]) for tag in row["tags"])
        for name, key in (("tags", "label"), ("confidence", "confidence"), ("value", "value"))
    }
    best = {"best": row["best"]["label"], "best_confidence": row["best"]["confidence"]}
    return {**{name: row[name] for name in ("path", "artist", "title", "field")}, **joined, **best}


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """RFC 4180. Text that a spreadsheet would compute gets a leading apostrophe; JSON has the exact texts."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for row in map(flat, rows):
        shown = {name: row[name] for name in ("artist", "title", "tags", "best")}
        writer.writerow({**row, **{n: f"'{t}" if t and t.startswith(FORMULA) else t for n, t in shown.items()}})
    return out.getvalue()


def _json(rows: Sequence[dict[str, Any]]) -> str:
    """One object; a path with undecodable bytes holds them as lone \\udcXX escapes, as `os.fsdecode` does."""
    return json.dumps({"format": FORMAT, "version": VERSION, "tracks": list(rows)}, indent=1) + "\n"


_WRITERS = {".csv": _csv, ".json": _json}


def check_table(path: Path) -> None:
    """Raises UsageError unless `write_tags` can write to `path`."""
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(f"{path}: no table format {path.suffix!r}.{nearest(path.suffix.lower(), _WRITERS)}")
    check_folder(path)


def write_tags(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of `TaggedLibrary.rows` in the format of the extension, .csv or .json. Raises as `check_table`."""
    check_table(path)
    write_atomic(path, _WRITERS[path.suffix.lower()](rows))


def read_tags_file(path: Path) -> list[dict[str, Any]]:
    """The rows of a .json that `write_tags` wrote. Raises UsageError when it is another file."""
    try:
        told = json.loads(path.read_bytes())
        if told["format"] != FORMAT or told["version"] != VERSION:
            raise UsageError(f"{path}: not a table of tags of this version; write it with: mirclr tag ... -o {path}")
        return [_row(row) for row in told["tracks"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = "not a table of tags; write it with: mirclr tag --store STORE --head HEAD -o TAGS.json"
        raise UsageError(f"{path}: {what} ({error!r})") from error


def _row(row: dict[str, Any]) -> dict[str, Any]:
    tags = [{"label": str(tag["label"]), "confidence": tag["confidence"], "value": tag["value"]} for tag in row["tags"]]
    texts = {name: None if row[name] is None else str(row[name]) for name in ("artist", "title")}
    return {
        "path": str(row["path"]),
        "field": check_field(str(row["field"])),
        **texts,
        "tags": tags,
        "best": row["best"],
    }
