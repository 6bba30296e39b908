"""What happens before the first phase is shown if it takes long."""

from __future__ import annotations

import time

import pytest

from spectro_mpi.terminal.steps import Steps


def test_a_step_that_takes_long_is_shown_with_its_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = ""
    with Steps(True, line_seconds=0.01).step("looking for items", "files") as found:
        found(1200)
        while "so far" not in printed:
            time.sleep(0.01)
            printed += capsys.readouterr().out
    assert "looking for items: 1,200 files so far, 0.0 s\n" in printed


def test_a_short_step_or_one_not_to_be_shown_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Steps(True).step("planning"):
        pass
    with Steps(False, line_seconds=0.001).step("planning"):
        time.sleep(0.02)
    assert capsys.readouterr().out == ""
