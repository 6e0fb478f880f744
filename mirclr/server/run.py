"""Listening: a socket of this machine, uvicorn behind it, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import uvicorn

from mirclr.errors import UsageError

SHORTEST_TOKEN = 16
LEAVING_S = 2  # how long Ctrl-C waits for a song that is being sent


def is_loopback(host: str) -> bool:
    """Whether an address, or `localhost`, is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_token(host: str, token: str | None) -> None:
    """Raises UsageError where others can reach the server and nothing keeps them out, or little."""
    if token is None and not is_loopback(host):
        raise UsageError(
            f"--host {host} lets other machines in: give a --token (or the variable MIRCLR_TOKEN) of at least "
            f"{SHORTEST_TOKEN} characters; python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UsageError(f"the token has {len(token)} characters, at least {SHORTEST_TOKEN} are needed")


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port` (0: any free one). Raises UsageError when it is taken or forbidden."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    # After a restart the port still waits for late packets; this says that it may be taken again.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {host} port {port}: {error}. Choose another with --port or --host"
        ) from error
    return listening


def addresses(host: str, port: int) -> list[str]:
    """The addresses to open in a browser: this machine's, and for a telephone that of its network."""
    if host not in ("0.0.0.0", "::"):
        return [f"http://{f'[{host}]' if ':' in host else host}:{port}/"]
    return [f"http://127.0.0.1:{port}/", *(f"http://{own}:{port}/" for own in _own_addresses())]


def _own_addresses() -> list[str]:
    """The address by which this machine would reach others; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address (RFC 5737); UDP sends nothing on connect
            return [str(probe.getsockname()[0])]
        except OSError:
            return []


def serve_until_stopped(app: Any, listening: socket.socket) -> None:
    """Answer requests until Ctrl-C or SIGTERM; requests under way get `LEAVING_S` seconds.

    Raises KeyboardInterrupt after a clean end by Ctrl-C.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LEAVING_S,
        lifespan="on",
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()
