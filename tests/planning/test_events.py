"""The table of events is read like any text file, and only if it is a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spectro_mpi.operations.runs import run_directory
from spectro_mpi.planning.events import events_content, read_marks
from spectro_mpi.settings.schema import Config, PlotSettings, SettingsError

ROWS = ("orbit,start,end", "7,2000-01-01T00:00:00Z,2000-01-01T00:01:00Z", "8,1,2")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_may_end_as_on_any_system(tmp_path: Path, end: str, mark: str) -> None:
    (tmp_path / "events.csv").write_bytes((mark + end.join(ROWS)).encode())
    assert sorted(read_marks(tmp_path / "events.csv")) == ["7", "8"]


def test_what_is_not_text_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b"orbit,start,end\n\x89HDF")
    with pytest.raises(SettingsError, match="cannot be read: byte 16 is not text in UTF-8"):
        read_marks(path)
    with pytest.raises(SettingsError, match="cannot be read: byte 16 is not text in UTF-8"):
        run_directory(path)


def test_a_pipe_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    os.mkfifo(path)
    with pytest.raises(SettingsError, match="cannot be read: is not a file"):
        read_marks(path)
    with pytest.raises(SettingsError, match="cannot be read: is not a file"):
        events_content(Config(plot=PlotSettings(events=str(path))))
