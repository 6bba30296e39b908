"""Event tables come in several layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.model.marks import Mark, place
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.planning.events import read_marks
from spectro_mpi.settings.schema import SettingsError

NOON = 946728000.0  # 2000-01-01T12:00:00Z


def spectrogram(instrument: str, records: int = 100) -> Spectrogram:
    time = NOON + 10.0 * np.arange(records, dtype=np.float64)
    return Spectrogram(
        instrument,
        "counts",
        ("all",),
        time,
        time - 5,
        time + 5,
        np.zeros(records, np.uint8),
        np.ones((1, 2), np.float32),
        np.ones((1, records, 2), np.float32),
        "x.cdf",
        1,
    )


@pytest.mark.parametrize(
    "table",
    [
        "Orbit Number\tees min Index\tees Max Index\n13312\t3\t9\n",
        "Orbit Number, notes, ees min Index, ees Max Index\n13312, good, 3, 9\n",
        "# marked by hand\norbit;instrument;start;end\n13312;ees;3;9\n",
        "orbit,instrument,start index,end index\n13312,EES,3,9\n",
        "item,instrument,start,end\n13312,ees,3,9\n",
    ],
)
def test_record_indices_by_orbit_or_by_row(tmp_path: Path, table: str) -> None:
    path = tmp_path / "events"
    path.write_text(table)
    assert read_marks(path) == {"13312": (Mark("ees", 3, 9),)}


def test_times_and_several_instruments(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "Orbit Number,ees Start Time,ees End Time,ies min Index,ies Max Index\n"
        "7,2000-01-01T12:00:30Z,2000-01-01 12:01:00,,\n"
        "8.0,,,1,2\n9,,,,\n"
    )
    marks = read_marks(path)
    assert marks == {"7": (Mark("ees", NOON + 30, NOON + 60),), "8": (Mark("ies", 1, 2),)}
    assert place(marks["7"], {}) == [(NOON + 30, NOON + 60)]
    assert place(marks["8"], {"ies": spectrogram("ies")}) == [(NOON + 10, NOON + 20)]
    assert place(marks["8"], {"ees": spectrogram("ees")}) == []


def test_overlapping_marks_become_one_and_an_instruments_own_come_first() -> None:
    both = {"ees": spectrogram("ees"), "ies": spectrogram("ies")}
    marks = (Mark("ees", 0, 5), Mark("ies", 4, 8), Mark("ies", 20, 1000))
    assert place(marks, both) == [(NOON, NOON + 80), (NOON + 200, NOON + 990)]
    assert place(marks, both, prefer="ees") == [(NOON, NOON + 50)]
    assert place(marks, both, prefer="eeb") == place(marks, both)


def test_marks_the_wrong_way_round_are_turned_and_those_beyond_the_records_left_out() -> None:
    data = {"ees": spectrogram("ees")}
    assert place([Mark("ees", 9, 3)], data) == [(NOON + 30, NOON + 90)]
    assert place([Mark("ees", NOON + 20, NOON)], data) == [(NOON, NOON + 20)]
    assert place([Mark("ees", 100, 200), Mark("ees", -9, -1)], data) == []


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("a,b\n1,2\n", "no column Orbit"),
        ("orbit,b\n1,2\n", "names no start and end"),
        ("orbit,instrument,start,end\n1,ees,x,3\n", "row 2"),
        ("orbit,instrument,start,end\nmany,ees,1,3\n", "row 2"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, table: str, told: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(table)
    with pytest.raises(SettingsError, match=told):
        read_marks(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_marks(tmp_path / "none.csv")
