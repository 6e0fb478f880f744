"""Is this copy of a collection whole? A score on a part of a collection is not the collection's score."""

from __future__ import annotations

from mirclr.datasets.checksums import different
from mirclr.datasets.collection import Collection
from mirclr.datasets.targets import per_label
from mirclr.errors import DatasetError
from mirclr.units import printable

SHOWN = 3


def differences(collection: Collection) -> tuple[str, ...]:
    """Declared counts that this copy does not have, and annotation files that are not the published ones."""
    declared, count = collection.expected, len(collection.tracks)
    out = [f"{count} tracks here, {declared.tracks} declared"] if declared.tracks not in (None, count) else []
    found = per_label(collection.targets, collection.task, len(collection.vocabulary))
    here = dict(zip(collection.vocabulary, found.tolist(), strict=True))
    lacking = [(label, n) for label, n in declared.labels.items() if here.get(label, 0) != n]
    out += [f"{label}: {here.get(label, 0)} here, {n} declared" for label, n in lacking]
    return (*out, *different(collection.root, declared.checksums))


def refuse_partial(collection: Collection, allow: bool) -> tuple[str, ...]:
    """What this copy lacks, a sentence each: listed files that are missing, counts and annotation files that are not
    the declared ones.

    Raises DatasetError, counting what is missing, unless there is nothing or `allow`. A folder per label and a table
    of one's own declare no counts: they are whole when every file they list is there.
    """
    gone, listed = collection.missing, len(collection.missing) + len(collection.tracks)
    names = ", ".join(printable(name) for name in gone[:SHOWN]) + (", ..." if len(gone) > SHOWN else "")
    missing = [f"{len(gone)} of {listed} listed files are missing: {names}"] if gone else []
    found = (*missing, *differences(collection))
    if found and not allow:
        lines = "\n".join(f"  {line}" for line in found)
        raise DatasetError(
            f"{collection.name}: this copy is not whole, so a score would not be the collection's:\n{lines}\n"
            f"Complete it (`mirclr data check {collection.name}` lists every file), or judge what is there with "
            "--allow-partial, which every output then says"
        )
    return tuple(f"partial collection: {line}" for line in found)
