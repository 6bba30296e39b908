"""Searches to try on the report page; each finds something in its run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from spectro_mpi.model.coverage import Coverage
from spectro_mpi.report.contents import ItemEntry

_FEWEST_DIGITS = 5
"""Numbers of fewer digits may be years."""


def search_examples(entries: Sequence[ItemEntry]) -> list[str]:
    """Searches as a user would type them: by number, time, state and place, if known.

    Empty for a run without items.
    """
    return list(dict.fromkeys(_examples(entries)))


def _examples(entries: Sequence[ItemEntry]) -> Iterator[str]:
    if not entries:
        return
    yield _by_id([entry.id for entry in entries])
    timed = [entry for entry in entries if entry.coverage or entry.start]
    if timed:
        yield f"{_inside(timed[len(timed) // 2]):%Y-%m-%d %H:%M}"
    failed = next((entry for entry in entries if entry.state == "failed"), None)
    if failed is not None:
        yield failed.reasons[0]
    for entry in entries:
        place = _by_place(entry.coverage) if entry.coverage else ""
        if place:
            yield place
            return


def _by_id(ids: Sequence[str]) -> str:
    """A list with a range, if the ids are numbers."""
    if len(ids) < 4 or not all(len(name) >= _FEWEST_DIGITS and name.isdecimal() for name in ids):
        return ids[0]
    return f"{ids[0]}, {ids[len(ids) // 3]}-{ids[-1]}"


def _inside(entry: ItemEntry) -> datetime:
    """A time of its data."""
    if entry.coverage is None:
        assert entry.start is not None
        return entry.start
    middle = (entry.coverage.begin + entry.coverage.end) / 2
    return datetime.fromtimestamp(middle, timezone.utc)


def _by_place(coverage: Coverage) -> str:
    """The stretch of an orbit that reaches to the highest latitude."""
    known = [track for track in coverage.tracks if track.mlt is not None and track.low is not None]
    if not known:
        return ""
    mlt, low, high = max(known, key=lambda track: (abs(track.low or 0), track))
    assert mlt is not None and low is not None and high is not None
    hemisphere = "south" if low < 0 else "north"
    near, far = sorted((abs(low), abs(high)))
    return f"mlt {mlt}-{mlt + 1} ilat {near}-{far} {hemisphere}"
