"""The web app over a library: pages, an API in JSON with its OpenAPI document, and sound. It only ever reads.

FastAPI rather than bare Starlette: the types of an endpoint are at once its checks and its description in
`/openapi.json`, so that the two cannot come apart. Endpoints are plain functions; they run in threads, and what they
share (`Snapshot`) does not change.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from mirclr import __version__
from mirclr.errors import AudioError, MirclrError, StoreError
from mirclr.library.playlist import Rules
from mirclr.plots.map_page import login_page, login_policy, page_policy, served_page
from mirclr.server.gate import COOKIE, Gate, Keys
from mirclr.server.live import LiveLibrary
from mirclr.server.models import (
    LibraryOut,
    PlaylistOut,
    RankedOut,
    SearchOut,
    Token,
    TrackOut,
    ranked_out,
    track_out,
)
from mirclr.server.sound import Previews, file_response

WRONG_TOKEN_S = 1.0  # what a guess costs
GONE = frozenset({"missing_file", "permission", "unreadable"})
Id = Annotated[str, InPath(pattern="^[0-9a-f]{8,64}$", description="A track's id, as every answer gives it.")]
Ids = Annotated[list[str], Query(min_length=1, max_length=50, description="Ids of tracks to start from.")]
SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/*": {}}, "description": "All of it."},
    206: {"content": {"audio/*": {}}, "description": "The range that was asked for."},
    410: {"description": "The file is not there any more."},
    416: {"description": "No such range."},
}


def make_app(live: LiveLibrary, keys: Keys | None = None, loopback: bool = True) -> FastAPI:
    """The app over `live`. `keys`: whom it lets in; `loopback`: it listens to this machine alone (see `Gate`)."""
    keys = keys or Keys()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="mirclr-previews-") as folder:
            app.state.previews = Previews(Path(folder))
            yield

    app = FastAPI(
        title="mirclr",
        summary="A library of music: search, similarity, playlists, the map and sound.",
        version=__version__,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(Gate, keys=keys, loopback=loopback)
    app.add_exception_handler(MirclrError, _said)
    _pages(app, live, keys)
    _answers(app, live)
    _tracks(app, live)
    _sound(app, live)
    return app


async def _said(request: Request, error: Exception) -> Response:
    """An error that mirclr raised on purpose, in its own words."""
    del request
    if isinstance(error, AudioError):
        return JSONResponse({"detail": str(error)}, 410 if error.reason in GONE else 422)
    return JSONResponse({"detail": str(error)}, 503 if isinstance(error, StoreError) else 422)


def _pages(app: FastAPI, live: LiveLibrary, keys: Keys) -> None:
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> HTMLResponse:
        policy = f"{page_policy()}; frame-ancestors 'none'"
        return HTMLResponse(served_page(live.ask.name), headers={"Content-Security-Policy": policy})

    @app.get("/login", response_class=HTMLResponse, include_in_schema=False)
    def ask_token() -> HTMLResponse:
        policy = f"{login_policy()}; frame-ancestors 'none'"
        return HTMLResponse(login_page(), headers={"Content-Security-Policy": policy})

    @app.post("/login", status_code=204, summary="Trade the token for a cookie")
    async def login(given: Token, request: Request) -> Response:
        if not keys.opens(given.token.get_secret_value()):
            await asyncio.sleep(WRONG_TOKEN_S)
            raise HTTPException(401, "that is not the token")
        answer = Response(status_code=204)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, keys.session, httponly=True, samesite="strict", secure=secure)
        return answer


def _answers(app: FastAPI, live: LiveLibrary) -> None:
    @app.get("/api/library", summary="What is served")
    def library() -> LibraryOut:
        now = live.now()
        return LibraryOut(
            name=live.ask.name,
            tracks=len(now.catalogue.tracks),
            encoder=now.binding.name,
            sound_search=now.joint is not None,
        )

    @app.get("/api/map", summary="The map: places, fields and neighbours of every track, as the page reads them")
    def map_data() -> Response:
        return Response(live.now().map_json(), media_type="application/json")

    @app.get("/api/search", summary="Tracks by the words of their tags, or by words for their sound")
    def search(
        q: Annotated[str, Query(min_length=1, max_length=500)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        by: Literal["tags", "sound"] = "tags",
    ) -> SearchOut:
        now = live.now()
        if by == "tags":
            return SearchOut(tracks=[track_out(now, row) for row in now.by_words(q, limit)], notes=[])
        hits, notes = now.by_sound(q, limit)
        return SearchOut(tracks=[track_out(now, hit.row) for hit in hits], notes=notes)


def _tracks(app: FastAPI, live: LiveLibrary) -> None:
    @app.get("/api/tracks/{id}", summary="One track")
    def track(id: Id) -> TrackOut:
        now = live.now()
        return track_out(now, _row(now.row_of, id))

    @app.get("/api/tracks/{id}/similar", summary="The tracks most like one")
    def similar(id: Id, k: Annotated[int, Query(ge=1, le=1000)] = 10) -> RankedOut:
        now = live.now()
        hits = now.similar(_row(now.row_of, id), k)
        return RankedOut(tracks=[ranked_out(now, hit.row, hit.similarity) for hit in hits])

    @app.get("/api/playlist", summary="A playlist that follows from tracks; made, not kept")
    def playlist(
        seed: Ids,
        length: Annotated[int, Query(ge=1, le=1000)] = 20,
        per_artist: Annotated[int | None, Query(ge=1)] = None,
        ranked: Annotated[bool, Query(description="By likeness; otherwise each like the one before it.")] = False,
    ) -> PlaylistOut:
        now = live.now()
        rules = Rules(length=length, per_artist=per_artist)
        rules = replace(rules, order="ranked") if ranked else rules
        made = now.playlist([_row(now.row_of, id) for id in seed], rules)
        tracks = [ranked_out(now, now.row_of[entry.track["audio_id"]], entry.similarity) for entry in made.entries]
        smooth = None if math.isnan(made.smoothness) else made.smoothness
        return PlaylistOut(tracks=tracks, notes=list(made.notes), smoothness=smooth)


def _sound(app: FastAPI, live: LiveLibrary) -> None:
    @app.get("/api/tracks/{id}/audio", summary="The file, in ranges", response_class=FileResponse, responses=SOUND)
    def audio(id: Id) -> FileResponse:
        now = live.now()
        return file_response(now.track(_row(now.row_of, id)))

    @app.get("/api/tracks/{id}/preview", summary="30 s as MP3, in ranges", response_class=FileResponse, responses=SOUND)
    def preview(id: Id, request: Request) -> FileResponse:
        now = live.now()
        made: Previews = request.app.state.previews
        return made.response(now.track(_row(now.row_of, id)))


def _row(row_of: dict[str, int], id: str) -> int:
    """The row of an id. Raises HTTPException 404."""
    if id not in row_of:
        raise HTTPException(404, f"no track {id} in this library")
    return row_of[id]
