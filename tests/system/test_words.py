"""Times and lists read the same wherever they are printed."""

from __future__ import annotations

import pytest

from spectro_mpi.system.words import count, duration, listed, shortened, utc


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.34, "0.3 s"),
        (12.4, "12 s"),
        (150, "2 min 30 s"),
        (245, "4 min 05 s"),
        (12_000, "3 h 20 min"),
    ],
)
def test_spans_of_time_are_written_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_moments_are_utc() -> None:
    assert utc(946_685_857) == "2000-01-01 00:17:37 UTC"


def test_long_lists_say_how_many_more_there_are() -> None:
    assert shortened(["a", "b"], 2) == ["a", "b"]
    assert shortened(["a", "b", "c", "d"], 2) == ["a", "b", "… and 2 more"]
    assert listed(["a", "b", "c"], 1) == "a, … and 2 more"


def test_one_thing_is_no_plural() -> None:
    assert [count(number, "item") for number in (0, 1, 2)] == ["0 items", "1 item", "2 items"]
