"""Event tables come in several layouts."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.model.marks import Event, Mark, PackedMarks, place
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


def event(start: float, end: float, label: str = "event", number: int = 0) -> Event:
    """An event by seconds after noon."""
    return Event(NOON + start, NOON + end, label, number)


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
    assert place(marks["7"], {}) == [event(30, 60)]
    assert place(marks["8"], {"ies": spectrogram("ies")}) == [event(5, 25)]
    assert place(marks["8"], {"ees": spectrogram("ees")}) == []


def test_overlapping_marks_become_one_and_an_instruments_own_come_first() -> None:
    both = {"ees": spectrogram("ees"), "ies": spectrogram("ies")}
    marks = (Mark("ees", 0, 5), Mark("ies", 4, 8), Mark("ies", 20, 1000))
    assert place(marks, both) == [event(-5, 85), event(195, 995)]
    assert place(marks, both, prefer="ees") == [event(-5, 55)]
    assert place(marks, both, prefer="eeb") == place(marks, both)


def test_marks_the_wrong_way_round_are_turned_and_those_beyond_the_records_left_out() -> None:
    data = {"ees": spectrogram("ees")}
    assert place([Mark("ees", 9, 3)], data) == [event(25, 95)]
    assert place([Mark("ees", NOON + 20, NOON)], data) == [event(0, 20)]
    assert place([Mark("ees", 100, 200), Mark("ees", -9, -1)], data) == []


@pytest.mark.parametrize("column", ["label", "Label", "EVENT LABEL", "event_label", "Event  Label"])
def test_rows_may_have_labels(tmp_path: Path, column: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        f"orbit,start,end,{column}\n7,1,2,  Inverted   V \n7,5,5,\n8,3,4,cusp\n8,1,2,inverted-v\n"
    )
    assert read_marks(path, "crossing") == {
        "7": (Mark("", 1, 2, "Inverted V", 0), Mark("", 5, 5, "crossing", 1)),
        "8": (Mark("", 3, 4, "cusp", 2), Mark("", 1, 2, "inverted-v", 3)),
    }


def test_labels_are_the_same_only_if_they_are_spelled_the_same(tmp_path: Path) -> None:
    labels = ["β", "α", "Вспышка", "雪", "A b", "a-B", "A  b ", "β"]
    path = tmp_path / "events.csv"
    rows = [f"7,2000-01-01T12:00,2000-01-01T12:01,{label}" for label in labels]
    path.write_text("\n".join(["orbit,start,end,label", *rows]), encoding="utf-8")
    marks = read_marks(path)["7"]
    assert [mark.number for mark in marks] == [0, 1, 2, 3, 4, 5, 4, 0]
    placed = place(marks, {})
    assert sorted(event.label for event in placed) == sorted({*labels} - {"A  b "})


def test_a_quoted_label_may_have_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        '# "a comment\norbit,start,end,label\n\n7,1,2,"two\nlines"\n'
        '8,1,2,"one\n\n# two\n three"\n# "end\n9,3,4,last\n'
    )
    labels = {item: marks[0].label for item, marks in read_marks(path).items()}
    assert labels == {"7": "two lines", "8": "one # two three", "9": "last"}


def test_an_event_without_instrument_is_one_of_all_instruments() -> None:
    both = {"ees": spectrogram("ees"), "ies": spectrogram("ies", 50)}
    everywhere, own = Mark("", NOON + 500, NOON + 600, "any"), Mark("ees", 0, 5, "own")
    marks = (everywhere, own, Mark("ies", 8, 9, "other"))
    shown = {
        prefer: [event.label for event in place(marks, both, prefer)]
        for prefer in ("", "ees", "ies", "eeb")
    }
    assert shown == {
        "": ["own", "other", "any"],
        "ees": ["own", "any"],
        "ies": ["other", "any"],
        "eeb": ["any"],
    }
    assert place([own], both, "ies") == [event(-5, 55, "own")]


def test_indices_without_instrument_count_the_records_of_each() -> None:
    slow = spectrogram("ies")
    slow = replace(slow, time=2 * slow.time - NOON + 3000, time_start=slow.time * np.nan)
    both = {"ees": spectrogram("ees"), "ies": slow}
    marks = [Mark("", 2, 4)]
    assert place(marks, both, "ees") == [event(15, 45)]
    assert place(marks, both, "ies") == [event(3030, 3090)]
    assert place(marks, both) == [event(15, 45), event(3030, 3090)]


def test_an_index_is_from_the_start_of_its_first_to_the_end_of_its_last_record() -> None:
    data = spectrogram("ees")
    start, end = data.time - 2, data.time + 7
    start[3] = end[8] = np.nan
    data = replace(data, time_start=start, time_end=end)
    placed = [place([Mark("ees", *pair)], {"ees": data}) for pair in ((4, 6), (3, 8), (5, 5))]
    # Where the file has no edges, half a step of 10 s.
    assert placed == [[event(38, 67)], [event(25, 85)], [event(48, 57)]]
    open_ended = Mark("ees", 4, datetime(9999, 12, 31, tzinfo=timezone.utc).timestamp())
    assert place([open_ended], {"ees": data}) == [Event(NOON + 38, open_ended.end, "event", 0)]
    lost = replace(data, time=np.where(np.arange(100) < 5, np.nan, data.time))
    assert place([Mark("ees", 2, 6)], {"ees": lost}) == [event(48, 67)]
    assert place([Mark("ees", 2, 4)], {"ees": lost}) == []


def test_a_label_is_of_all_instruments_in_its_row(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("Orbit,ees min,ees max,ies min,ies max,Label\n7,1,2,3,4,cusp\n8,5,6,,,\n")
    assert read_marks(path) == {
        "7": (Mark("ees", 1, 2, "cusp", 0), Mark("ies", 3, 4, "cusp", 0)),
        "8": (Mark("ees", 5, 6, "event", 1),),
    }


def test_overlapping_events_stay_apart_unless_they_have_the_same_label() -> None:
    marks = (
        Mark("", NOON, NOON + 50, "cusp", 0),
        Mark("", NOON + 20, NOON + 90, "inverted V", 1),
        Mark("", NOON + 40, NOON + 60, "cusp", 0),
        Mark("", NOON + 70, NOON + 80, "cusp", 0),
    )
    placed = [event(0, 60, "cusp"), event(20, 90, "inverted V", 1), event(70, 80, "cusp")]
    assert place(marks, {}) == placed
    assert place(reversed(marks), {}) == placed


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("a,b\n1,2\n", "no column Orbit"),
        ("orbit,b\n1,2\n", "names no start and end"),
        ("orbit,instrument,start,end\n1,ees,x,3\n", "line 2 cannot be read"),
        ("orbit,instrument,start,end\nmany,ees,1,3\n", "line 2 cannot be read"),
        ("# by hand\n\norbit,start,end\n1,2,3\n\n# second\n1,2,x\n", "line 7 cannot be read"),
        ('orbit,start,end,label\n1,2,3,"a\n\n# b"\n1,2,x,"c\nd"\n1,2,3\n', "line 5 cannot be read"),
        ("orbit,start,end\n1,2,3\n1,,\n1,2,\n", "line 4 .* no end; .* write 9999-12-31T23:59:59"),
        (
            "orbit,ees min Index,ees Max Index,ies min Index,ies Max Index\n1,2,3,,\n1,2,3,,4\n",
            "line 3 .* with end but no start; .* write 0001-01-01",
        ),
        (f"orbit,start,end\n1,2,3\n1,2,{'9' * 200_000}\n", "line 3 cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, table: str, told: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(table)
    with pytest.raises(SettingsError, match=told):
        read_marks(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_marks(tmp_path / "none.csv")


def test_marks_are_pickled_once_for_all_processes() -> None:
    table = {str(item): (Mark("ees", item, item + 3),) for item in range(100)}
    packed = PackedMarks(table)
    buffers: list[pickle.PickleBuffer] = []
    sent = [pickle.dumps(packed, 5, buffer_callback=buffers.append) for _ in range(3)]
    first = buffers[0].raw().obj
    assert all(buffer.raw().obj is first for buffer in buffers), "the messages share their bytes"
    assert max(map(len, sent)) < 200
    received = pickle.loads(sent[0], buffers=[buffers[0].raw().tobytes()])
    assert received == packed == table
    assert received["7"] == table["7"] and "100" not in received
    # A rank hands them on to its compute process; some pipes know no buffers.
    for protocol in (4, 5):
        assert pickle.loads(pickle.dumps(received, protocol)) == table
