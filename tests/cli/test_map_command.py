"""`mirclr map` and `mirclr serve` as one types them: what they print, refuse, and how the server ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from tests.support.shown_library import make_library, rows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("mapped"))


def mirclr(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], env={"MIRCLR_TOKEN": None})
    assert result.exit_code == code, result.output
    return result


def data_of(page: Path) -> dict[str, object]:
    text = page.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    found: dict[str, object] = json.loads(text)
    return found


def test_a_map_says_what_it_wrote(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    said = json.loads(mirclr("map", "-o", page, "--store", store, "--method", "pca", "--json").stdout)
    assert said == {"page": str(page), "tracks": 12, "layouts": "PCA", "bytes": page.stat().st_size}
    assert data_of(page)["name"] == "library.db"


def test_columns_of_a_table_come_first(store: Path, tmp_path: Path) -> None:
    names = [row["path"] for row in rows(store.parent)]
    (tmp_path / "t.csv").write_text("path,mood\n" + f"{names[0]},calm\n{names[3]},wild\n")
    page = tmp_path / "map.html"
    mirclr("map", "-o", page, "--store", store, "--method", "PCA", "--table", tmp_path / "t.csv", "--by", "mood")
    fields = data_of(page)["fields"]
    assert isinstance(fields, list)
    assert fields[0] == {"name": "mood", "kind": "words", "names": ["calm", "wild"], "codes": [0, -1, -1, 1] + [-1] * 8}


def test_a_column_called_like_a_tag_takes_its_place(store: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"path,genre\n{rows(store.parent)[0]['path']},mine\n")
    page = tmp_path / "map.html"
    mirclr("map", "-o", page, "--store", store, "--method", "PCA", "--table", tmp_path / "t.csv", "--by", "genre")
    fields = data_of(page)["fields"]
    assert isinstance(fields, list)
    assert [field["names"] for field in fields if field["name"] == "genre"] == [["mine"]]


def test_lines_of_a_playlist_that_lead_nowhere_are_listed(store: Path, tmp_path: Path) -> None:
    listed = ["http://radio.example/a", "gone.flac", rows(store.parent)[3]["path"]]
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n" + "\n".join(listed) + "\n")
    page = tmp_path / "map.html"
    said = mirclr(
        "map", "-o", page, "--store", store, "--method", "PCA", "--playlist", tmp_path / "list.m3u8", code=3
    ).stderr
    assert "stream" in said
    assert "gone.flac" in said
    assert "missing_file" in said
    assert data_of(page)["playlist"] == [3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "map.pdf"], "ends in .html"),
        (["-o", "nowhere/map.html"], "does not exist"),
        (["-o", "map.html", "--by", "mood"], "give both or neither"),
        (["-o", "map.html", "--method", "sne"], "no method 'sne'"),
        (["-o", "map.html", "--playlist", "none.m3u8"], "not a playlist that can be read"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in mirclr("map", *words, "--store", store, code=2).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "give a --token"),
        (["--host", "192.168.1.5"], "give a --token"),
        (["--host", "::"], "give a --token"),
        (["--token", "short"], "at least 16"),
        (["--host", "no.such.host.invalid", "--token", "x" * 16], "cannot listen on no.such.host.invalid"),
    ],
)
def test_a_server_that_would_be_open_to_others_does_not_start(store: Path, words: list[str], said: str) -> None:
    assert said in mirclr("serve", "--store", store, "--method", "PCA", *words, code=2).stderr


def test_a_port_that_is_taken_is_named(store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = mirclr("serve", "--store", store, "--port", port, code=2).stderr
    assert f"127.0.0.1 port {port}" in said
    assert "--port" in said


def test_the_description_of_the_api_is_printed(store: Path) -> None:
    assert "/api/playlist" in json.loads(mirclr("serve", "--store", store, "--openapi").stdout)["paths"]


def test_without_its_packages_the_command_says_which_and_what_else(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = mirclr("serve", "--store", store, code=2).stderr
    assert "mirclr[server]" in said
    assert "mirclr map" in said


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child is a POSIX thing")
def test_a_server_answers_until_ctrl_c_and_ends_cleanly_while_a_song_is_sent(store: Path) -> None:
    command = [sys.executable, "-m", "mirclr", "serve", "--store", str(store), "--port", "0", "--method", "PCA"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    address = urlsplit(child.stdout.readline().strip())
    assert (address.hostname, address.scheme) == ("127.0.0.1", "http")
    asked = http.client.HTTPConnection("127.0.0.1", address.port or 0, timeout=20)
    asked.request("GET", f"/api/tracks/{rows(store.parent)[0]['audio_id']}/audio")
    assert asked.getresponse().status == 200  # not read to its end
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 0
    assert said.rstrip().endswith("stopped")
    assert "Traceback" not in said
    asked.close()
