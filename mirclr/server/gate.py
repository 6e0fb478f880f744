"""Who may ask: the Host header, the token, and the headers that every answer carries.

A page of another site can make a browser send requests to this machine, and by rebinding a name of its own to 127.0.0.1
(DNS rebinding) even read the answers. Its requests carry its own name in `Host`; that is what is refused here. An
address cannot be rebound, so addresses are let in.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from dataclasses import dataclass, field
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "mirclr"
OPEN_PATHS = frozenset({"/login"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Keys:
    """`token` that lets in (None: everybody who reaches the socket); `session`, what the cookie of a login holds.

    The cookie is not the token: it is drawn when the server starts and dies with it.
    """

    token: str | None = None
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def opens(self, token: str) -> bool:
        """Whether `token` is the token; takes the same time for every wrong one."""
        return self.token is not None and compare_digest(_bytes(token), _bytes(self.token))

    def admits(self, headers: Headers) -> bool:
        """Whether a request may be answered: no token is asked for, or it brings the token or the cookie."""
        if self.token is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.opens(given.strip()):
            return True
        return compare_digest(_bytes(_cookie(headers)), _bytes(self.session))


def known_host(header: str, loopback: bool) -> bool:
    """Whether a Host header names this machine: `localhost` or a loopback address; where the server listens to others
    too (`loopback` false), any address and this machine's own names."""
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        own = socket.gethostname().lower()
        return name == "localhost" or (not loopback and name in {own, own.partition(".")[0], f"{own}.local"})
    return address.is_loopback or not loopback


class Gate:
    """Stands before the app: refuses strange hosts (400) and who brings no token (401), and adds `HEADERS`."""

    def __init__(self, app: ASGIApp, keys: Keys, loopback: bool) -> None:
        self.app, self.keys, self.loopback = app, keys, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self._refusal(scope["path"], Headers(scope=scope)) or self.app

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await answer(scope, receive, sealed)

    def _refusal(self, path: str, headers: Headers) -> Response | None:
        if not known_host(headers.get("host", ""), self.loopback):
            return JSONResponse({"detail": "this server does not go by that name (Host header)"}, 400)
        if path in OPEN_PATHS or self.keys.admits(headers):
            return None
        if path == "/":
            return RedirectResponse("/login", 303)
        return JSONResponse({"detail": "log in at /login, or send the token"}, 401, {"WWW-Authenticate": "Bearer"})


def _cookie(headers: Headers) -> str:
    jar = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _bytes(text: str) -> bytes:
    """`compare_digest` takes ASCII or bytes; JSON can hold half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")
