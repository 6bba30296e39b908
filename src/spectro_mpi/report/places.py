"""Where the parts of a report lie in a run directory."""

from __future__ import annotations

from pathlib import Path

REPORT = "report"
PAGE = f"{REPORT}/index.html"
ITEMS = f"{REPORT}/items"
"""Previews of items, by month as the figures are."""
SHEET, SCRIPT = ".jpg", ".js"
"""Ends of the names of a preview's thumbnails and of its values."""


def preview_path(run_dir: Path, month: str, item_id: str, suffix: str) -> Path:
    """A file of an item's preview; `month` as in "2000/01"."""
    return run_dir / ITEMS / month / f"{item_id}{suffix}"


def month_of(folder: Path) -> str:
    """The month of an item's folder of figures, as in "2000/01"."""
    return f"{folder.parent.parent.name}/{folder.parent.name}"
