"""A failure is found in a log by its mark, whatever names and sentences hold."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectro_mpi.system.logs import FailureMark, RankLog, failure_mark_in


@given(st.builds(FailureMark, st.text(), st.text(), st.text()), st.text())
def test_any_names_are_read_back_from_the_line(mark: FailureMark, message: str) -> None:
    line = f"2000-01-01 00:00:00,000 ERROR spectro_mpi.mpi.worker: {mark}: generic: {message}"
    assert failure_mark_in(line) == mark


@pytest.mark.parametrize(
    "line",
    [
        "2000-01-01 00:00:00,000 INFO spectro_mpi.mpi.worker: item 7: plot computed in 1.0 s",
        '2000-01-01 00:00:00,000 WARNING spectro_mpi.mpi.worker: failure ["7", "ees", "plot"]',
        "2000-01-01 00:00:00,000 ERROR spectro_mpi.mpi.worker: failure [torn",
        "",
    ],
)
def test_other_lines_have_no_mark(line: str) -> None:
    assert failure_mark_in(line) is None


def test_lines_of_0_1_are_read_too() -> None:
    line = (
        "2026-01-01 00:00:00,000 ERROR spectro_mpi.mpi.worker: item 13324 ies in phase reduce: "
        "invalid-cdf: none of its records is valid"
    )
    assert failure_mark_in(line) == FailureMark("13324", "ies", "reduce")


def test_a_failure_is_in_the_file_at_once(tmp_path: Path) -> None:
    log = RankLog(tmp_path / "logs" / "rank-0003.log", records=100)
    try:
        logging.getLogger("spectro_mpi.mpi.worker").error("%s: why", FailureMark("7", "e", "my-p"))
        lines = (tmp_path / "logs" / "rank-0003.log").read_text().splitlines()
    finally:
        log.close()
    assert [failure_mark_in(line) for line in lines] == [FailureMark("7", "e", "my-p")]


def test_times_are_utc_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    log = RankLog(tmp_path / "logs" / "rank-0000.log", records=1)
    try:
        logging.getLogger("spectro_mpi").error("now")
        line = (tmp_path / "logs" / "rank-0000.log").read_text()
    finally:
        log.close()
        monkeypatch.undo()
        time.tzset()
    written = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=timezone.utc)
    assert abs(written.timestamp() - time.time()) < 60
    assert line[23:28] == " UTC "
