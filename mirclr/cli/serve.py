"""`mirclr serve`: a library as a small web app."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from mirclr.cli import face
from mirclr.cli.library import store_option
from mirclr.cli.map import method_option, seed_option

WITHOUT_SERVER = "`mirclr serve` needs packages: pip install 'mirclr[server]'; `mirclr map` needs none"


@click.command()
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; others than loopback: --token.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--token", envvar="MIRCLR_TOKEN", help="What lets in, at least 16 characters. Also: MIRCLR_TOKEN.")
@click.option("--joint", type=click.Path(path_type=Path), help="A folder of `mirclr align`: search sound by words.")
@method_option
@seed_option
@click.option("--openapi", is_flag=True, help="Print the description of the API (OpenAPI, JSON) and end.")
@face.command
def serve(
    *,
    store: Path,
    host: str,
    port: int,
    token: str | None,
    joint: Path | None,
    wanted: tuple[str, ...],
    seed: int,
    openapi: bool,
) -> int:
    """Open the library in a browser: the map, search, similar tracks, playlists and sound, until Ctrl-C.

    It listens to this machine alone. For a telephone: --host 0.0.0.0 with a --token. It serves the files of the library
    and no others, writes nothing, and sees what `mirclr index` changes meanwhile.
    """
    _require_server()
    from mirclr.server.app import make_app
    from mirclr.server.gate import Keys
    from mirclr.server.live import Ask, LiveLibrary
    from mirclr.server.run import addresses, bind, check_token, is_loopback, serve_until_stopped

    check_token(host, token)
    live = LiveLibrary(Ask(store, wanted, seed, joint))
    app = make_app(live, Keys(token), is_loopback(host))
    if openapi:
        face.show_json(app.openapi())
        return 0
    with bind(host, port) as listening:
        face.say(f"laying out the map of {len(live.now().catalogue.tracks)} tracks")
        live.now().map_json()
        for address in addresses(host, listening.getsockname()[1]):
            click.echo(address)
        face.say("Ctrl-C ends it" if token is None else "log in with the token; ADDRESSlogin#TOKEN is a link that does")
        with suppress(KeyboardInterrupt):  # how one ends a server
            serve_until_stopped(app, listening)
    face.say("stopped")
    return 0


def _require_server() -> None:
    from importlib.util import find_spec

    from mirclr.errors import UsageError

    if not all(find_spec(name) for name in ("fastapi", "uvicorn")):
        raise UsageError(WITHOUT_SERVER)
