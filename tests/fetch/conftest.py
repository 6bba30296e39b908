"""An archive on this machine, and settings that fetch from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Finished, spectro_mpi_here
from tests.fetch.archive_server import Archive, serving

Fetch = Callable[..., Finished]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.fixture
def archive() -> Iterator[Archive]:
    with serving(Archive()) as served:
        yield served


@pytest.fixture
def settings(archive: Archive, tmp_path: Path) -> Path:
    """Settings that fetch everything from the archive, with short pauses."""
    path = tmp_path / "spectro-mpi.toml"
    path.write_text(
        f'input = "data"\n[fetch]\nurl = "{archive.url}"\nbackoff_seconds = 0.01\n'
        "timeout_seconds = 0.5\n"
    )
    return path


@pytest.fixture
def fetch(settings: Path) -> Fetch:
    """Calls `spectro-mpi fetch` with further arguments."""
    return lambda *arguments: spectro_mpi_here("fetch", settings, "--no-progress", *arguments)
