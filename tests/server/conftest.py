"""A library of real sound, and an app over it that is asked without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirclr.server.app import make_app
from mirclr.server.live import Ask, LiveLibrary
from tests.support.shown_library import make_library

if TYPE_CHECKING:
    from starlette.testclient import TestClient

LOCAL = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[TestClient]:
    from starlette.testclient import TestClient

    app = make_app(LiveLibrary(Ask(store, ("PCA",))))
    with TestClient(app, base_url=LOCAL, raise_server_exceptions=False) as asked:
        yield asked
