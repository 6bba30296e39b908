"""Output that cannot be printed costs the output, or is a sentence; never a traceback."""

from __future__ import annotations

import io
import shlex
import subprocess
from pathlib import Path

import pytest

from spectro_mpi.cli.console import Console
from spectro_mpi.rundir.reader import open_run
from tests.conftest import BIN, spectro_mpi


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("output", ["| true", ">&-", "2>&-", ">&- 2>&-", "> /dev/full 2>&1"])
def test_a_run_goes_on_without_its_output(settings: Path, output: str) -> None:
    run = shlex.join([str(BIN / "spectro-mpi"), "run", str(settings), "-s", "select.orbits=13312"])
    done = shell(f"{run} {output}; exit ${{PIPESTATUS[0]}}", settings.parent)
    assert done.returncode == 0
    assert "Traceback" not in done.stdout + done.stderr
    assert open_run(settings.parent / "runs" / "fast").completed("plot") == ["13312"]


def test_other_commands_say_that_they_cannot_print(sampled: Path) -> None:
    status = shlex.join([str(BIN / "spectro-mpi"), "status", str(sampled)])
    full = shell(f"{status} > /dev/full", sampled)
    assert full.returncode == 1
    assert full.stderr.splitlines() == [
        "spectro-mpi: the output cannot be printed: No space left on device"
    ]
    closed = shell(f"{status} | true; exit ${{PIPESTATUS[0]}}", sampled)
    assert closed.returncode in (0, 1)  # it may end before its reader does
    assert closed.stderr == ""


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_printed_is_no_success(tmp_path: Path, option: str) -> None:
    full = shell(f"{BIN / 'spectro-mpi'} {option} > /dev/full", tmp_path)
    assert full.returncode == 1
    assert full.stderr.startswith("spectro-mpi: the output cannot be printed: ")


def test_a_directory_that_was_removed_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = shlex.join([str(BIN / "spectro-mpi"), "runs", "."])
    done = shell(f"rmdir {shlex.quote(str(gone))} && {command}", gone)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "spectro-mpi: the current directory does not exist any more; change to another one"
    ]


def test_a_directory_called_stop_is_told(settings: Path) -> None:
    (settings.parent / "runs" / "fast" / "STOP").mkdir(parents=True)
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 2
    assert "STOP: is a directory, which would stop every run; remove it" in done.err


def test_absurd_nesting_in_settings_is_told(tmp_path: Path) -> None:
    path = tmp_path / "spectro-mpi.toml"
    deep, long = f"seed = {'[' * 9000}{']' * 9000}", f"seed = {'7' * 9000}"
    dotted = f"{'.'.join(['phase'] * 3000)} = 1"
    for content in (deep, long, dotted):
        path.write_text(content)
        done = spectro_mpi("plan", path)
        assert done.code == 2
        assert "Traceback" not in done.err
        assert done.err.startswith(f"spectro-mpi: {path}: ")


def test_what_is_printed_does_not_drive_the_terminal() -> None:
    stream = io.StringIO()
    print("a\x1b[2J\nb\x07\u202e", file=Console(stream, goes_on=False))
    assert stream.getvalue() == "a\\x1b[2J\nb\\x07\\u202e\n"


def test_a_stream_that_fails_is_dropped_once() -> None:
    with Path("/dev/full").open("w") as full:
        silent = Console(full, goes_on=True)
        print("x", file=silent, flush=True)
        print("x", file=silent, flush=True)
        assert silent.trouble is not None
    with Path("/dev/full").open("w") as full, pytest.raises(OSError, match="No space"):
        print("x", file=Console(full, goes_on=False), flush=True)
