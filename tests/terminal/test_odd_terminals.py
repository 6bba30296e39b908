"""Nothing breaks on a terminal without colours, letters or room, nor in another locale."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from spectro_mpi.demo import write_demo
from tests.conftest import BIN, spectro_mpi

PLAIN = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}


def on_terminal(words: list[str], columns: int, env: dict[str, str]) -> tuple[int, bytes]:
    """Exit code and output of a command on a terminal of so many columns."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [str(BIN / "spectro-mpi"), *words],
        stdin=there,
        stdout=there,
        stderr=there,
        env={**os.environ, **env},
    ) as process:
        os.close(there)
        shown = b""
        try:
            while part := os.read(here, 1 << 16):
                shown += part
        except OSError:  # the end of a terminal
            pass
        code = process.wait(120)
    os.close(here)
    return code, shown


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    write_demo(folder, orbits=1, seed=0)
    return folder / "spectro-mpi.toml"


@pytest.mark.parametrize(
    ("columns", "env"),
    [(80, {"TERM": "dumb"}), (20, {"TERM": "xterm"}), (80, {"TERM": "xterm", "NO_COLOR": "1"})],
)
def test_a_run_is_shown_on_any_terminal(settings: Path, columns: int, env: dict[str, str]) -> None:
    words = ["run", str(settings), "--fresh", "-s", "plot.dpi=40", "-s", "report.at_end=false"]
    code, shown = on_terminal(words, columns, env)
    assert code == 0, shown.decode(errors="replace")
    assert b"Traceback" not in shown
    assert b"reduce" in shown and b"took" in shown
    if env["TERM"] == "dumb":
        assert b"\x1b[2K" not in shown and b"\x1b[1A" not in shown
    if "NO_COLOR" in env:
        assert b"\x1b[3" not in shown  # no colour of letters


def test_every_command_speaks_in_ascii(settings: Path, tmp_path: Path) -> None:
    run = settings.parent / "runs" / "ascii"
    here = ("-s", 'run_id="ascii"', "-s", "plot.dpi=40")
    for words in (
        ("plan", settings, *here),
        ("run", settings, "--no-progress", *here),
        ("status", run),
        ("runs", run.parent),
        ("verify", run, "--inputs"),
        ("report", run),
        ("export", run, "--format", "cdf", "-o", tmp_path),
        ("draw", run, "13312", "-o", tmp_path / "figure.png"),
        ("inspect", next((settings.parent / "FAST_data").rglob("fa_esa*ees*.cdf"))),
        ("run", "--help"),
    ):
        done = spectro_mpi(*words, env={**PLAIN, "TERM": "dumb", "COLUMNS": "20"})
        assert done.code == 0, (words, done.out, done.err)
        assert "Traceback" not in done.err
        done.out.encode("ascii")
