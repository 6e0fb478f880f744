"""Who is let in: hosts, tokens, cookies, and the headers that every answer carries."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from mirclr.server import app as app_module
from mirclr.server.app import make_app
from mirclr.server.gate import COOKIE, HEADERS, Keys, known_host
from mirclr.server.live import Ask, LiveLibrary

TOKEN = "a-token-of-enough-letters"
OWN = socket.gethostname().lower()


@pytest.mark.parametrize(
    ("host", "at_home", "outside"),
    [
        ("127.0.0.1:8765", True, True),
        ("localhost", True, True),
        ("LOCALHOST:8765", True, True),
        ("[::1]:8765", True, True),
        ("127.8.8.8", True, True),
        ("192.168.1.5:8765", False, True),
        (f"{OWN}.local:8765", False, True),
        ("evil.example", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("localhost.evil.example", False, False),
        ("evil.example#127.0.0.1", False, False),
        ("evil.example@127.0.0.1.example", False, False),
        ("", False, False),
        ("[::1", False, False),
        ("2130706433.example", False, False),
    ],
)
def test_a_host_is_this_machine_or_is_refused(host: str, at_home: bool, outside: bool) -> None:
    assert (known_host(host, loopback=True), known_host(host, loopback=False)) == (at_home, outside)


@pytest.fixture(scope="module")
def live(store: Path) -> LiveLibrary:
    return LiveLibrary(Ask(store, ("PCA",)))


@pytest.fixture
def guarded(live: LiveLibrary, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(app_module, "WRONG_TOKEN_S", 0.0)
    return TestClient(
        make_app(live, Keys(TOKEN), loopback=False), base_url="http://192.168.1.5", follow_redirects=False
    )


@pytest.mark.parametrize("path", ["/", "/login", "/api/library", "/api/map", "/openapi.json", "/nothing"])
def test_another_sites_name_is_refused_everywhere(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("path", ["/", "/login", "/api/library", "/api/map", "/nothing", "/api/tracks/x/audio"])
def test_every_answer_carries_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    for name, value in HEADERS.items():
        if name != "Content-Security-Policy":
            assert headers[name] == value
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path", ["/api/library", "/api/map", "/openapi.json", "/api/tracks/00000000/audio", "/nothing"]
)
def test_without_the_token_there_is_nothing(guarded: TestClient, path: str) -> None:
    said = guarded.get(path)
    assert (said.status_code, said.headers["www-authenticate"]) == (401, "Bearer")
    assert "bands" not in said.text
    assert guarded.get("/").headers["location"] == "/login"


@pytest.mark.parametrize(
    "given",
    ["Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}"],
)
def test_another_token_does_not_open(guarded: TestClient, given: str) -> None:
    assert guarded.get("/api/library", headers={"Authorization": given}).status_code == 401


def test_the_token_opens_as_a_bearer(guarded: TestClient) -> None:
    assert guarded.get("/api/library", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_login_gives_a_cookie_that_opens_and_is_not_the_token(guarded: TestClient) -> None:
    assert guarded.post("/login", json={"token": "wrong"}).status_code == 401
    half = {"content": b'{"token": "\\ud800"}', "headers": {"Content-Type": "application/json"}}
    assert guarded.post("/login", **half).status_code in (401, 422)
    assert guarded.get("/api/library").status_code == 401
    said = guarded.post("/login", json={"token": TOKEN})
    assert said.status_code == 204
    told = said.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=strict" in told
    assert TOKEN not in said.headers["set-cookie"]
    assert guarded.get("/api/library").status_code == 200
    assert guarded.get("/").status_code == 200


def test_a_cookie_of_another_run_does_not_open(guarded: TestClient) -> None:
    for value in (Keys(TOKEN).session, TOKEN, "", "\xff"):
        asked = Headers({"cookie": f"{COOKIE}={value}"})
        assert not Keys(TOKEN).admits(asked)
    assert guarded.get("/api/library", headers={"Cookie": f"{COOKIE}={TOKEN}"}).status_code == 401


def test_without_a_token_there_is_no_login_to_make(live: LiveLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "WRONG_TOKEN_S", 0.0)
    open_to_all = TestClient(make_app(live), base_url="http://localhost")
    assert open_to_all.get("/api/library").status_code == 200
    assert open_to_all.post("/login", json={"token": ""}).status_code == 401


def test_a_foreign_form_cannot_log_in(guarded: TestClient) -> None:
    assert guarded.post("/login", data={"token": TOKEN}).status_code == 422
