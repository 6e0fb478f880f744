"""The API: what it answers, in which ranges it sends sound, and what it does not open."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from mirclr.features.joint_file import save_joint
from mirclr.library.playlist import Rules, Seed, make_playlist
from mirclr.library.search import Catalogue, similar
from mirclr.library.store import Library
from mirclr.library.text_search import search, shelf_of_store
from mirclr.server.app import make_app
from mirclr.server.live import Ask, LiveLibrary
from tests.support.joint import small_joint
from tests.support.library import Bands, fill, track_row
from tests.support.shown_library import HOSTILE, SONGS, rows

if TYPE_CHECKING:
    from starlette.testclient import TestClient

ROUTES = {
    "/login": {"post"},
    "/api/library": {"get"},
    "/api/map": {"get"},
    "/api/search": {"get"},
    "/api/tracks/{id}": {"get"},
    "/api/tracks/{id}/similar": {"get"},
    "/api/tracks/{id}/audio": {"get"},
    "/api/tracks/{id}/preview": {"get"},
    "/api/playlist": {"get"},
}


@pytest.fixture(scope="module")
def catalogue(store: Path) -> Catalogue:
    with Library.open(store) as library:
        return Catalogue.load(library)


def id_of(store: Path, row: int) -> str:
    return str(rows(store.parent)[row]["audio_id"])


def test_the_description_names_every_route_and_no_other_writes(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert {path: set(methods) for path, methods in described["paths"].items()} == ROUTES
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_but_a_login_takes_more_than_a_question(client: TestClient, store: Path, method: str) -> None:
    for path in set(ROUTES) - {"/login"}:
        assert client.request(method, path.format(id=id_of(store, 0))).status_code == 405


def test_what_is_served(client: TestClient) -> None:
    assert client.get("/api/library").json() == {
        "name": "library.db",
        "tracks": len(SONGS),
        "encoder": "bands",
        "sound_search": False,
    }


def test_one_track_with_its_tags(client: TestClient, store: Path) -> None:
    track = client.get(f"/api/tracks/{id_of(store, 2)}").json()
    assert (track["artist"], track["title"]) == ("Can", "Halleluwah")
    assert track["tags"]["genre"] == "rock"
    assert track["tags"]["year"] == 1971
    assert track["path"].endswith("/02 100% #1?.flac")
    assert client.get(f"/api/tracks/{id_of(store, 6)}").json()["path"].endswith("/06 \\xff bytes.flac")
    assert client.get(f"/api/tracks/{id_of(store, 4)}").json()["title"] == HOSTILE


def test_similar_is_what_the_command_finds(client: TestClient, store: Path, catalogue: Catalogue) -> None:
    said = client.get(f"/api/tracks/{id_of(store, 3)}/similar", params={"k": 4}).json()["tracks"]
    hits = similar(catalogue, catalogue.unit[3], 4, exclude=[3])
    assert [track["id"] for track in said] == [id_of(store, hit.row) for hit in hits]
    assert [track["similarity"] for track in said] == pytest.approx([hit.similarity for hit in hits], abs=1e-4)


def test_a_playlist_is_what_the_command_makes(client: TestClient, store: Path, catalogue: Catalogue) -> None:
    asked = {"seed": [id_of(store, 3), id_of(store, 0)], "length": 6, "per_artist": 2, "ranked": True}
    said = client.get("/api/playlist", params=asked).json()
    seeds = [Seed(catalogue.track(row), catalogue.unit[row], row) for row in (3, 0)]
    made = make_playlist(catalogue, seeds, Rules(length=6, per_artist=2, order="ranked"))
    assert [track["id"] for track in said["tracks"]] == [entry.track["audio_id"] for entry in made.entries]
    assert said["smoothness"] == pytest.approx(made.smoothness)
    assert said["notes"] == list(made.notes)


def test_words_are_found_in_tags_without_accents(client: TestClient) -> None:
    found = client.get("/api/search", params={"q": "bjork joga"}).json()["tracks"]
    assert [track["title"] for track in found] == ["J\u00f3ga"]
    assert client.get("/api/search", params={"q": "1973"}).json()["tracks"] == []
    assert len(client.get("/api/search", params={"q": "rock", "limit": 2}).json()["tracks"]) == 2


def test_sound_by_words_without_a_joint_space_says_what_to_do(client: TestClient) -> None:
    said = client.get("/api/search", params={"q": "calm", "by": "sound"})
    assert said.status_code == 422
    assert "--joint" in said.json()["detail"]


def test_sound_by_words_is_what_the_command_finds(store: Path, tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    joint = small_joint()
    save_joint(tmp_path, joint.space, joint.encoder, {})
    client = TestClient(make_app(LiveLibrary(Ask(store, ("PCA",), joint=tmp_path))), base_url="http://localhost")
    assert client.get("/api/library").json()["sound_search"] is True
    said = client.get("/api/search", params={"q": "calm piano", "by": "sound", "limit": 3}).json()
    hits = search(shelf_of_store(joint, store), joint, "calm piano", 3)
    assert [track["id"] for track in said["tracks"]] == [id_of(store, hit.row) for hit in hits]
    assert said["notes"] == []
    notes = client.get("/api/search", params={"q": "zither", "by": "sound"}).json()["notes"]
    assert "zither" in notes[0]


@pytest.mark.parametrize(
    "path",
    [
        "/api/tracks/{id}/similar?k=0",
        "/api/tracks/{id}/similar?k=many",
        "/api/search",
        "/api/search?q=x&by=smell",
        "/api/playlist",
        "/api/playlist?seed={id}&length=0",
        "/api/playlist?seed={id}&seed={id}&length=1&ranked=sideways",
    ],
)
def test_a_wrong_question_is_refused(client: TestClient, store: Path, path: str) -> None:
    assert client.get(path.format(id=id_of(store, 0))).status_code == 422


# -- sound in ranges (RFC 9110, section 14)


@pytest.mark.parametrize("kind", ["audio", "preview"])
def test_sound_comes_whole_and_in_ranges(client: TestClient, store: Path, kind: str) -> None:
    address = f"/api/tracks/{id_of(store, 2)}/{kind}"
    whole = client.get(address)
    size = len(whole.content)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    if kind == "audio":
        assert whole.content == Path(rows(store.parent)[2]["path"]).read_bytes()
    for asked, first, last in (
        ("0-0", 0, 0),
        ("100-299", 100, 299),
        ("500-", 500, size - 1),
        ("-50", size - 50, size - 1),
    ):
        part = client.get(address, headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first : last + 1]
    beyond = client.get(address, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert client.get(address, headers={"Range": "bytes=x-y"}).status_code == 400
    assert client.get(address, headers={"Range": "bytes=0-9", "If-Range": '"another"'}).status_code == 200


def test_a_preview_is_an_mp3_of_the_track(client: TestClient, store: Path) -> None:
    said = client.get(f"/api/tracks/{id_of(store, 0)}/preview")
    assert said.headers["content-type"] == "audio/mpeg"
    samples, rate = soundfile.read(io.BytesIO(said.content))
    assert rate == 44_100
    assert len(samples) / rate == pytest.approx(3.0, abs=0.1)


def test_a_name_that_is_no_text_is_served(client: TestClient, store: Path) -> None:
    said = client.get(f"/api/tracks/{id_of(store, 6)}/audio")
    assert said.content == Path(rows(store.parent)[6]["path"]).read_bytes()
    assert said.headers["content-type"] == "audio/flac"


# -- only files of the library


@pytest.mark.parametrize(
    "id",
    [
        "..%2f..%2f..%2fetc%2fpasswd",
        "../../../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "file:%2f%2f%2fetc%2fpasswd",
        "0" * 32,
        "00%00",
        "A" * 32,
        "0" * 4000,
    ],
)
def test_no_address_leads_to_another_file(client: TestClient, id: str) -> None:
    for kind in ("audio", "preview", "similar"):
        said = client.get(f"/api/tracks/{id}/{kind}")
        assert said.status_code in (404, 422)
        assert b"root:" not in said.content


def test_a_path_in_the_question_is_no_id(client: TestClient, store: Path) -> None:
    assert client.get("/api/playlist", params={"seed": rows(store.parent)[0]["path"]}).status_code == 404


@pytest.fixture
def changing(tmp_path: Path) -> tuple[Path, TestClient]:
    """A store of eight tracks of which only the first has a file, and an app over it."""
    from starlette.testclient import TestClient

    soundfile.write(tmp_path / "0.wav", np.zeros(800), 8000)
    listed = [track_row(str(tmp_path / f"{k}.wav"), artist="A", title=str(k)) for k in range(8)]
    with Library.open_or_create(tmp_path / "library.db", Bands()) as library:
        fill(library, listed, np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32))
    app = make_app(LiveLibrary(Ask(tmp_path / "library.db", ("PCA",))))
    return tmp_path, TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def test_a_file_that_became_something_else_is_not_served(changing: tuple[Path, TestClient]) -> None:
    folder, client = changing
    address = f"/api/tracks/{track_row(str(folder / '0.wav'))['audio_id']}/audio"
    assert client.get(address).status_code == 200
    (folder / "0.wav").unlink()
    assert client.get(address).status_code == 410
    (folder / "secret").write_text("root: not sound\n" * 99)
    (folder / "0.wav").symlink_to(folder / "secret")
    said = client.get(address)
    assert said.status_code == 422
    assert b"not sound" not in said.content
    (folder / "0.wav").unlink()
    os.mkfifo(folder / "0.wav")
    assert client.get(address).status_code == 422  # and does not wait for a writer


def test_what_an_index_adds_is_served_without_a_restart(changing: tuple[Path, TestClient]) -> None:
    folder, client = changing
    assert len(client.get("/api/map").json()["files"]) == 8
    new = track_row(str(folder / "new.wav"), artist="New", title="Song")
    with Library.open_or_create(folder / "library.db", Bands()) as library:
        fill(library, [new], np.ones((1, 8), np.float32))
        assert client.get("/api/library").json()["tracks"] == 9  # while the writer is still there
    assert client.get("/api/search", params={"q": "new song"}).json()["tracks"][0]["id"] == new["audio_id"]
    assert len(client.get("/api/map").json()["files"]) == 9


def test_a_store_that_is_gone_is_said_and_one_that_comes_back_is_served(changing: tuple[Path, TestClient]) -> None:
    folder, client = changing
    (folder / "library.db").rename(folder / "away")
    said = client.get("/api/library")
    assert said.status_code == 503
    assert "no library store here" in said.json()["detail"]
    (folder / "away").rename(folder / "library.db")
    assert client.get("/api/library").status_code == 200


def test_many_questions_at_once_get_the_answers_they_get_alone(client: TestClient, store: Path) -> None:
    addresses = [f"/api/tracks/{id_of(store, row)}/{kind}" for row in range(6) for kind in ("similar", "audio")]
    alone = [client.get(address).content for address in addresses]
    together: dict[str, bytes] = {}
    threads = [
        threading.Thread(target=lambda a=address: together.__setitem__(a, client.get(a).content))
        for address in addresses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[address] for address in addresses] == alone


def test_the_map_is_valid_json_of_every_track(client: TestClient) -> None:
    laid = json.loads(client.get("/api/map").content)
    assert len(laid["files"]) == len(laid["ids"]) == len(SONGS)
    assert all(len(near) == 10 for near in laid["neighbours"])
