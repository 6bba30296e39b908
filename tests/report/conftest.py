"""A browser, and a run whose report it opens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from spectro_mpi.demo import DemoSummary
from tests.report.browsing import Visit, finished, visiting


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; skips where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shown_run(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, some of its items failed in part. Not to be changed by a test."""
    return finished(demo, tmp_path_factory.mktemp("counts"))


@pytest.fixture
def visit(browser: Browser, shown_run: Path) -> Iterator[Visit]:
    """A visit to the report of the run; fails if the page complains or asks for other files."""
    yield from visiting(browser, shown_run)
