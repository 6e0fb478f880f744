"""What the API says, as types: FastAPI checks the answers against them and writes the OpenAPI document from them."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from mirclr.server.live import Snapshot
from mirclr.units import printable


class TrackOut(BaseModel):
    """A track of the library."""

    id: str = Field(description="Hash of the decoded audio: copies are one track.")
    artist: str | None
    title: str | None
    path: str = Field(description="Where the file lies on the server's machine; undecodable bytes as \\xNN.")
    tags: dict[str, str | int | float | None] = Field(description="Genre, year, tempo and whatever else is known.")


class RankedTrack(TrackOut):
    """A track with its cosine similarity to what was asked for, -1 to 1."""

    similarity: float


class LibraryOut(BaseModel):
    """What is served."""

    name: str
    tracks: int
    encoder: str
    sound_search: bool = Field(description="Whether `/api/search?by=sound` answers: the server has a joint space.")


class RankedOut(BaseModel):
    """Tracks, most alike first."""

    tracks: list[RankedTrack]


class SearchOut(BaseModel):
    """Tracks that fit a text; `notes`: what to know of the answer."""

    tracks: list[TrackOut]
    notes: list[str]


class PlaylistOut(BaseModel):
    """A playlist in playing order; `smoothness`: mean cosine of neighbours, null for one track."""

    tracks: list[RankedTrack]
    notes: list[str]
    smoothness: float | None


class Token(BaseModel):
    """What the login page sends."""

    token: SecretStr


def track_out(snapshot: Snapshot, row: int) -> TrackOut:
    """The row of a library as the API says it."""
    track = snapshot.track(row)
    return TrackOut(
        id=track["audio_id"],
        artist=track["artist"],
        title=track["title"],
        path=printable(track["path"]),
        tags=snapshot.tags(row),
    )


def ranked_out(snapshot: Snapshot, row: int, similarity: float) -> RankedTrack:
    """The same with a similarity."""
    return RankedTrack(**track_out(snapshot, row).model_dump(), similarity=round(similarity, 4))
