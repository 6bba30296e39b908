"""The search of the report: lists, ranges, dates and times, places, states."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from spectro_mpi import open_run
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.report.contents import ItemEntry
from spectro_mpi.report.examples import search_examples
from spectro_mpi.rundir.reader import Run
from tests.report.browsing import Visit, found

Holds = Callable[[str, list[Spectrogram]], bool]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def overlaps(begin: str, end: str) -> Holds:
    """Whether the records of an item, or the name of its file, lie between two times."""

    def holds(item: str, held: list[Spectrogram]) -> bool:
        times = [np.concatenate((one.time_start, one.time_end, one.time)) for one in held]
        if not times:
            return False
        known = np.concatenate(times)
        return bool(np.nanmin(known) < seconds(end) and np.nanmax(known) >= seconds(begin))

    return holds


def is_at(hours: Iterable[int], degrees: tuple[int, int], north: bool | None = None) -> Holds:
    """Whether an item has a record at a full hour of MLT, between two invariant latitudes."""

    def holds(item: str, held: list[Spectrogram]) -> bool:
        for one in held:
            at = {variable.name: variable.values for variable in one.ephemeris}
            if not at:
                continue
            latitude = np.floor(np.abs(at["ilat"]))
            here = np.isin(np.floor(at["mlt"]), list(hours)) & (latitude >= degrees[0])
            here &= latitude < degrees[1]
            if north is not None:
                here &= (at["hemisphere"] > 0) == north
            if here.any():
                return True
        return False

    return holds


def one_of(*ids: str) -> Holds:
    return lambda item, held: item in ids


EARLY = [str(orbit) for orbit in range(13312, 13316)]


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ("13312, 13314-13315", one_of("13312", "13314", "13315")),
        ("13312 13320", one_of("13312", "13320")),
        ("13312..13315", one_of(*EARLY)),
        ("13312 - 13315, 13321", one_of(*EARLY, "13321")),
        ("13312-13315 ees,ieb", one_of(*EARLY)),  # ees of 13314 failed
        ("2000-01-01 02:50", overlaps("2000-01-01T02:50", "2000-01-01T02:51")),
        ("2000/01/01 02:50 UTC", overlaps("2000-01-01T02:50", "2000-01-01T02:51")),
        ("2000-01-01T02:50:10", overlaps("2000-01-01T02:50:10", "2000-01-01T02:50:11")),
        ("2000-01-01 02:00-05:30", overlaps("2000-01-01T02:00", "2000-01-01T05:31")),
        ("2000-01-02", overlaps("2000-01-02", "2000-01-03")),
        ("1999", lambda item, held: False),
        ("2000-01-01 03:00, 13312", lambda item, held: item == "13312" or at_three(item, held)),
        ("mlt 10-14 ilat 70-80", is_at(range(10, 14), (70, 80))),
        ("mlt:22-2 ilat:60..70 south", is_at((22, 23, 0, 1), (60, 70), False)),
        ("ilat -75..-70", is_at(range(24), (70, 75), False)),
    ],
)
def test_what_is_found_is_what_the_store_has(
    visit: Visit, shown_run: Path, words: str, holds: Holds
) -> None:
    run = open_run(shown_run)
    page = visit.open("#gallery")
    page.locator("#query").fill(words)
    expected = [item for item in known(run) if holds(item, held(run, item))]
    expect(page.locator("#found")).to_contain_text(f"{len(expected)} of {len(known(run))} orbits")
    shown = found(page)
    if (":" in words and "mlt" not in words) or "2000" in words:
        # Of an item without data it is only known when it begins.
        assert [item for item in shown if held(run, item)] == expected
    else:
        assert shown == expected


def at_three(item: str, held: list[Spectrogram]) -> bool:
    return overlaps("2000-01-01T03:00", "2000-01-01T03:01")(item, held)


def instruments(held: list[Spectrogram], *names: str) -> bool:
    return any(one.instrument in names for one in held)


def known(run: Run) -> list[str]:
    return sorted({*run.items, *run.errors})


def held(run: Run, item: str) -> list[Spectrogram]:
    if item not in run.items:
        return []
    return [run.spectrogram(item, instrument) for instrument in run.instruments(item)]


def test_each_example_finds_something_and_the_placeholder_is_one(visit: Visit) -> None:
    page = visit.open("#gallery")
    examples = page.locator("button.example")
    assert page.locator("#query").get_attribute("placeholder") == examples.first.inner_text()
    kinds = [r"\d{5}, \d{5}-\d{5}", r"2000-01-\d\d \d\d:\d\d", "invalid-cdf", "mlt .* ilat .*"]
    assert examples.count() == len(kinds)
    for number, kind in enumerate(kinds):
        words = examples.nth(number).inner_text()
        assert re.fullmatch(kind, words)
        examples.nth(number).click()
        expect(page.locator("#query")).to_have_value(words)
        expect(page.locator("#found")).to_have_text(re.compile(r"^[1-9]\d* of 12 orbits"))


def test_an_instrument_that_failed_is_found_among_the_failed(visit: Visit) -> None:
    run = open_run(visit.folder)
    page = visit.open("#gallery")
    for item, failures in run.errors.items():
        for failure in failures:
            page.locator("#query").fill(f"failed {failure.instrument} {item}")
            expect(page.locator("#found")).to_contain_text("1 of ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("orbit 13312", "0 of 12 orbits; none has “orbit”"),
        ("2000-13-01 05:00 mlt 25", "0 of 12 orbits; none has “2000-13-01 05:00”, “mlt 25”"),
        ("13312 failed", "0 of 12 orbits"),
    ],
)
def test_words_that_find_nothing_are_named(visit: Visit, words: str, told: str) -> None:
    page = visit.open("#gallery")
    page.locator("#query").fill(words)
    expect(page.locator("#found")).to_have_text(told)


def test_examples_need_no_orbits_and_no_times() -> None:
    entry = ItemEntry("a", None, "", "done", (), (), (), (), False, False)
    assert search_examples([]) == []
    assert search_examples([entry]) == ["a"]
