"""Names in listings are not trusted, and odd listings are read as far as they make sense."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from spectro_mpi.fetch.listing import Entry, entries_of
from tests.fetch.archive_server import Archive, cdf, listing, name, page
from tests.fetch.conftest import Fetch

BASE = "https://archive.example/l2/ees/"


def names_of(*hrefs: str) -> list[str]:
    """The names of the entries of a listing with these links."""
    html = "".join(f'<a href="{href}">x</a>' for href in hrefs)
    return [entry.name for entry in entries_of(html, BASE)]


def test_entries_are_what_is_directly_in_the_folder() -> None:
    assert names_of(
        "a.cdf",
        "./b.cdf",
        "/l2/ees/c.cdf",
        "https://archive.example/l2/ees/d.cdf",
        "2000/",
        "with%20space.cdf",
    ) == ["a.cdf", "b.cdf", "c.cdf", "d.cdf", "2000", "with space.cdf"]


@pytest.mark.parametrize(
    "href",
    [
        "../x.cdf",
        "../../../../etc/x.cdf",
        "/etc/x.cdf",
        "/l2/eesx.cdf",
        "..%2f..%2fx.cdf",
        "%2e%2e/x.cdf",
        "..",
        "%2e%2e",
        ".",
        "./",
        ".hidden.cdf",
        "a%2fb.cdf",
        "a/b.cdf",
        "a%5cb.cdf",
        "a%00.cdf",
        "a%0a.cdf",
        "a%1b[31m.cdf",
        "a%e9.cdf",
        "a&#x202e;fdc.cdf",
        "x.cdf?version=1",
        "?C=N;O=D",
        "x.cdf#end",
        "",
        "https://elsewhere.example/l2/ees/x.cdf",
        "http://archive.example/l2/ees/x.cdf",
        "https://archive.example:8443/l2/ees/x.cdf",
        "//elsewhere.example/l2/ees/x.cdf",
        "file:///l2/ees/x.cdf",
        "javascript:alert(1)",
        "https://[bad/x.cdf",
        "a" * 300 + ".cdf",
    ],
)
def test_links_that_lead_elsewhere_or_act_are_passed_over(href: str) -> None:
    assert names_of(href) == []


@pytest.mark.parametrize("style", ["apache", "table", "nginx"])
@pytest.mark.parametrize("size", [0, 7, 972, 973, 1023, 9_999, 123_456, 2_500_000, 8_700_000_000])
def test_sizes_are_within_what_the_listing_says(style: str, size: int) -> None:
    html = listing("ees/", [("x.cdf", size), ("2000/", 0)], style)
    entries = {entry.name: entry for entry in entries_of(html, BASE)}
    assert set(entries) == {"x.cdf", "2000"}
    assert entries["2000"].is_folder
    assert entries["2000"].size is None
    least, most = entries["x.cdf"].size or (1, 0)
    assert least <= size <= most
    if style == "nginx":
        assert least == most


def test_of_several_links_to_a_file_the_one_with_a_size_counts() -> None:
    html = '<a href="x.cdf"><img></a><a href="x.cdf">x</a> 2017-05-26 12:02  12K <a href="x.cdf">'
    (entry,) = entries_of(html, BASE)
    assert entry == Entry("x.cdf", f"{BASE}x.cdf", False, entry.size)
    assert entry.size is not None


def test_odd_html_is_read_as_far_as_it_goes() -> None:
    html = '<!DOCTYPE x [<!ENTITY a "b">]><A HREF=a.cdf>a<a href>b<a href="b.cdf"><li><![CDATA[<a h'
    assert [entry.name for entry in entries_of(html, BASE)] == ["a.cdf", "b.cdf"]
    assert entries_of("\0\0<<<>>><a", BASE) == []


def test_a_listing_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spectro_mpi.fetch.listing.MOST_ENTRIES", 100)
    html = "".join(f'<a href="{number}.cdf">' for number in range(200))
    assert len(entries_of(html, BASE)) == 100


def test_names_in_listings_put_no_file_outside(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312)
    file = name(13313)
    archive.files[f"ees/{file}"] = archive.files[f"etc/{file}"] = cdf()
    hostile = (f"../../../{file}", f"..%2f..%2f{file}", f"/l2/etc/{file}", f"\x1b]0;x\x07{file}")
    archive.faults["ees/2000/01/"] = [
        page("".join(f'<a href="{href}">x</a>' for href in (*hostile, name(13312))))
    ]
    assert fetch().code == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.suffix == ".cdf"] == [name(13312)]


def test_folders_that_lead_in_circles_end(archive: Archive, fetch: Fetch) -> None:
    archive.add(13312)
    deep = "loop/" * 20
    for depth in range(21):
        archive.pages["loop/" * depth] = '<a href="loop/">loop/</a>'
    archive.pages[""] = '<a href="loop/">loop/</a><a href="ees/">ees/</a>'
    done = fetch("-s", "fetch.folders=**")
    assert done.code == 3
    assert "depth of 12" in done.err
    assert deep not in archive.paths()


def test_a_huge_listing_is_refused_before_it_fills_the_memory(
    archive: Archive, fetch: Fetch
) -> None:
    archive.add(13312, 13325)
    archive.faults["ees/2000/01/"] = [page("<!-- " + "x" * (40 << 20))]
    tracemalloc.start()
    done = fetch("-s", "fetch.timeout_seconds=20")
    tracemalloc.stop()
    assert done.code == 3
    assert "more than 32 MB" in done.err
