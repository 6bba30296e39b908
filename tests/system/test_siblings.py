"""Processes of one parent wait for each other, without a launcher."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import sys
from pathlib import Path
from spectro_mpi.system.siblings import together
with together(Path(sys.argv[1])):
    print("inside", flush=True)
    sys.stdin.readline()
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    """A process that stays inside until it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    return process


def _let_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_first_waits_for_the_last_unless_that_dies(tmp_path: Path, is_killed: bool) -> None:
    first, last = _start(tmp_path), _start(tmp_path)
    _let_on(first)
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.3)
    if is_killed:
        last.kill()
    else:
        _let_on(last)
    assert first.wait(60) == 0
    last.communicate()
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_where_no_file_can_be_made(tmp_path: Path) -> None:
    process = _start(tmp_path / "absent")
    process.communicate("\n", timeout=60)
    assert process.returncode == 0
