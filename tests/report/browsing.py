"""A browser with the report of a run open in it, as tests use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, expect

from spectro_mpi.demo import DemoSummary
from tests.conftest import spectro_mpi


@dataclass
class Visit:
    """A page that is open, and what it has done that it should not."""

    page: Page
    folder: Path
    """All that it may load lies below."""
    troubles: list[str] = field(default_factory=list)

    def open(self, view: str = "") -> Page:
        """Open a part of the report, as from a bookmark."""
        self.page.goto("about:blank")
        self.page.goto((self.folder / "report" / "index.html").as_uri() + view)
        expect(self.page.locator("#found")).not_to_contain_text("oading")
        return self.page


def finished(demo: DemoSummary, folder: Path, *more: str) -> Path:
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[plot]\ndpi = 90\n'
        'kinds = ["pitch-angle", "instrument-grid", "angle"]\n'
        f'events = "{demo.directory / "events.csv"}"\n'
    )
    assert spectro_mpi("run", settings, *more, timeout=400).code in (0, 3)
    return folder / "runs" / "fast"


def visiting(browser: Browser, folder: Path, **context: Any) -> Iterator[Visit]:
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **context})
    visit = Visit(page, folder)
    page.on("console", lambda message: visit.troubles.append(message.text))
    page.on("pageerror", lambda error: visit.troubles.append(str(error)))
    root = folder.as_uri() + "/"

    def asked(request: Request) -> None:
        if not request.url.startswith((root, "about:", "blob:")):
            visit.troubles.append(f"asks for {request.url}")

    page.on("request", asked)

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # as what still loads when the page is left
            visit.troubles.append(f"misses {request.url} ({request.failure})")

    page.on("requestfailed", failed)
    yield visit
    page.close()
    assert not visit.troubles, visit.troubles


def found(page: Page) -> list[str]:
    """The orbits that the gallery shows."""
    return page.locator(".card h2").all_inner_texts()


def assert_shown(image: Locator) -> None:
    """A picture that is there, and is one; pictures are loaded once they come into view."""
    image.scroll_into_view_if_needed()
    expect(image).to_have_attribute("src", re.compile("."))
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0


def described(path: Path) -> Any:
    with Image.open(path) as picture:
        return json.loads(picture.info["spectro-mpi"])


def point_at(page: Page, image: Locator, panel: Any, time: float, energy: float) -> None:
    """Move the pointer to a time and an energy of a panel, by the figure's own calibration."""
    left, top, right, bottom = panel["box"]
    x = left + (time - panel["time"][0]) / (panel["time"][1] - panel["time"][0]) * (right - left)
    low, high = panel["energy"]
    if panel["y_scale"] == "log":
        low, high, energy = np.log10([low, high, energy])
    y = bottom - (energy - low) / (high - low) * (bottom - top)
    x, y = np.floor([min(x, right - 1), min(y, bottom - 1)]) + 0.5
    scale = image.evaluate("image => image.clientWidth / image.naturalWidth")
    image.evaluate(
        """(image, [x, y]) => {
            const scroller = image.parentElement;
            scroller.scrollTo(x - scroller.clientWidth / 2, y - scroller.clientHeight / 2);
            const box = image.getBoundingClientRect();
            scrollBy(0, box.top + y - innerHeight / 2);
        }""",
        [x * scale, y * scale],
    )
    page.locator("#readout").evaluate("element => element.replaceChildren()")
    box = image.bounding_box()
    assert box
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
