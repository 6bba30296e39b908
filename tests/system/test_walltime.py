"""Wall times in the notation of schedulers."""

from __future__ import annotations

import pytest

from spectro_mpi.system.scheduler.walltime import seconds_of


@pytest.mark.parametrize(
    ("word", "seconds"),
    [
        ("90", 5400),
        ("01:30", 90),
        ("01:30:00", 5400),
        ("1-12", 129_600),
        ("2-00:00:05", 172_805),
        ("999999999", 59_999_999_940),
    ],
)
def test_wall_times_are_read(word: str, seconds: float) -> None:
    assert seconds_of(word) == seconds


@pytest.mark.parametrize("word", ["", "x", "-1", "1:2:3:4", "1e9", "٣", "9" * 10, "9" * 5000])
def test_what_is_no_wall_time_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is not a wall time"):
        seconds_of(word)
