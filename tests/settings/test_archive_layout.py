"""`fetch.folders` says what the folders of an archive mean; mistakes are said before anything."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from spectro_mpi.settings.archive_layout import Layout, Place, check_address
from spectro_mpi.settings.loading import config_from_text
from spectro_mpi.settings.schema import SettingsError


def place(folders: str, path: str) -> Place | None:
    """What a path means in a layout."""
    found: Place | None = Place()
    for level, name in zip(Layout(folders).levels, path.split("/"), strict=True):
        found = found.within(level, name) if found else None
    return found


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("folders", "path", "dates"),
    [
        ("%Y", "2000", (day(2000, 1, 1), day(2001, 1, 1))),
        ("%Y/%m", "1999/12", (day(1999, 12, 1), day(2000, 1, 1))),
        ("%Y/%Y-%m-%d".replace("%Y-", ""), "2000/02-29", (day(2000, 2, 29), day(2000, 3, 1))),
        ("l2_%Y%j", "l2_2000366", (day(2000, 12, 31), day(2001, 1, 1))),
        ("%Y/%m", "2000/13", None),
        ("*/x", "any/x", None),
    ],
)
def test_folders_tell_dates(
    folders: str, path: str, dates: tuple[datetime, datetime] | None
) -> None:
    found = place(folders, path)
    assert found is not None
    assert found.dates == dates


def test_folders_tell_instruments_and_orbits() -> None:
    found = place("l2/{instrument}/{orbit:1000}", "l2/ees/13000")
    assert found is not None
    assert (found.instrument, found.orbits) == ("ees", (13000, 13999))
    assert place("{instrument}/%Y", "ees/twothousand") is None


@pytest.mark.parametrize(
    ("folders", "depth", "is_deep"),
    [("", 0, True), (".", 0, False), ("**", 0, True), ("a/%Y/**", 2, True), ("/a/", 1, False)],
)
def test_a_layout_may_leave_the_rest_open(folders: str, depth: int, is_deep: bool) -> None:
    layout = Layout(folders)
    assert (len(layout), layout.is_deep) == (depth, is_deep)


@pytest.mark.parametrize(
    "folders", ["{instr}", "%H", "../x", "%m", "%Y/%Y", "%Y%Y", "a\n", "**/%Y", "{orbit}"]
)
def test_what_is_no_layout_is_a_mistake_in_the_settings(folders: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        Layout(folders)
    text = f"[fetch]\nfolders = {folders!r}\n".replace("\\n", "\\n").replace("'", '"')
    with pytest.raises(SettingsError, match=r"fetch\.folders = "):
        config_from_text(text, tmp_path, "x")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://archive.example/",
        "archive.example/data",
        "file:///data",
        "https://",
        "https://user:password@archive.example/",
        "https://archive.example/?list=1",
        "https://archive.example/#x",
        "https://archive.example:port/",
        "https://[::1/",
        "https://archive.example/a b",
    ],
)
def test_what_is_no_address_is_a_mistake_in_the_settings(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        check_address(url)
    with pytest.raises(SettingsError, match=r"fetch\.url = "):
        config_from_text(f'[fetch]\nurl = "{url}"\n', tmp_path, "x")


def test_addresses_of_archives_are_accepted() -> None:
    for url in ("https://spdf.gsfc.nasa.gov/pub/data/fast/esa/l2", "http://127.0.0.1:8000/x%20y/"):
        check_address(url)
