"""A picture of a report for the documentation.

Usage: python scripts/picture_of_report.py INDEX_HTML PICTURE
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

COLORS = 96
"""Few enough for a small file, enough for the colour maps to look right."""


def main(page_file: Path, picture: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1120, "height": 640}, bypass_csp=True)
        page.goto(page_file.absolute().as_uri() + "#gallery")
        page.wait_for_function("!document.getElementById('found').textContent.includes('oading')")
        page.wait_for_function(
            "[...document.querySelectorAll('#cards img')].slice(0, 9).every((one) => one.complete)"
        )
        shot = page.screenshot()
        browser.close()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLORS).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
