"""Progress survives being cut off at any byte, and says what its contract says."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from spectro_mpi.errors import Failure, RunError
from spectro_mpi.rundir.journal import Journal, damaged_state, load_progress
from spectro_mpi.rundir.layout import JOURNAL, PROGRESS
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.settings.schema import ScalePair

SCALES: list[ScalePair] = [("linear", "log")]
BROKEN = Failure("ees", "reduce", "invalid-cdf", "not a CDF")
SLOW = Failure("ies", "plot", "timeout", "took longer")


def data_files(*items: str) -> dict[str, str]:
    """Where the data of items are."""
    return {item: f"2000/01/{item}.h5#0123456789abcdef" for item in items}


def fill(run_dir: Path) -> Journal:
    journal = Journal(run_dir, "fast", SCALES)
    journal.note(items_total=4)
    prints = {"9": "0123abcd:77"}
    journal.record(Batch("reduce", ("10", "9"), {}, data_files("10", "9"), prints))
    failures = {"11": (BROKEN,)}
    journal.record(Batch("reduce", ("11", "12"), failures, data_files("12")))
    journal.record(Batch("plot", ("9", "10", "12"), {"12": (SLOW,)}))
    return journal


def test_the_contract_of_progress_json(tmp_path: Path) -> None:
    fill(tmp_path).close()
    table = json.loads((tmp_path / PROGRESS).read_text())
    assert table["schema_version"] == 3
    assert table["run_id"] == "fast"
    assert table["items_total"] == 4
    assert table["completed"] == {"reduce": ["9", "10", "12"], "plot": ["9", "10"]}
    told = {"instrument": "ees", "phase": "reduce", "reason": "invalid-cdf", "message": "not a CDF"}
    assert told.items() <= table["errors"]["11"].items()
    assert table["errors"]["12"]["reason"] == "timeout"
    assert table["ees_linear_log_error-invalid-cdf"] == ["11"]
    assert table["ies_linear_log_error-timeout"] == ["12"]
    assert table["linear_log_last_orbit"] == "10"
    assert not (tmp_path / JOURNAL).exists()


def test_journal_and_folded_state_read_the_same(tmp_path: Path) -> None:
    journal = fill(tmp_path)
    journalled = load_progress(tmp_path, "fast")
    assert journalled == journal.state
    journal.fold()
    assert load_progress(tmp_path, "fast") == journalled


def test_a_journal_cut_off_at_any_byte_reads_as_some_earlier_state(tmp_path: Path) -> None:
    fill(tmp_path)
    whole = (tmp_path / JOURNAL).read_bytes()
    seen = set()
    for length in range(len(whole) + 1):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        state = load_progress(tmp_path, "fast")
        assert set(state.data_files) <= state.settled["reduce"] | {"11"}
        seen.add((len(state.settled["reduce"]), len(state.settled["plot"])))
    assert seen == {(0, 0), (2, 0), (4, 0), (4, 3)}


def test_going_on_after_a_torn_line_loses_nothing_that_follows(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal(tmp_path, "fast", SCALES)
    journal.record(Batch("plot", ("10",), {}))
    state = load_progress(tmp_path, "fast")
    assert state.settled["plot"] == {"10"}
    assert state.settled["reduce"] == {"9", "10", "11", "12"}


def test_every_line_of_the_journal_names_its_version(tmp_path: Path) -> None:
    fill(tmp_path)
    lines = (tmp_path / JOURNAL).read_text().splitlines()
    assert [json.loads(line)["schema_version"] for line in lines] == [3] * 4


def test_dying_between_fold_and_removal_of_the_journal_changes_nothing(tmp_path: Path) -> None:
    journal = fill(tmp_path)
    journal.forget(["11"])
    entries = (tmp_path / JOURNAL).read_bytes()
    journal.fold()
    before = load_progress(tmp_path, "fast")
    (tmp_path / JOURNAL).write_bytes(entries)
    assert load_progress(tmp_path, "fast") == before


def test_forgotten_items_are_done_again_and_may_succeed(tmp_path: Path) -> None:
    journal = fill(tmp_path)
    journal.forget(["12"], ["plot"])
    journal.forget(["11"])
    assert journal.state.failures == {}
    assert journal.state.settled == {"reduce": {"9", "10", "12"}, "plot": {"9", "10"}}
    journal.record(Batch("reduce", ("11",), {}, data_files("11")))
    assert load_progress(tmp_path, "fast").completed("reduce") == ["9", "10", "11", "12"]


def test_two_failures_of_one_item_are_both_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "fast", SCALES)
    other = Failure("ies", "reduce", "timeout", "took longer")
    journal.record(Batch("reduce", ("1",), {"1": (BROKEN, other)}))
    journal.close()
    assert load_progress(tmp_path, "fast").failures == {"1": (BROKEN, other)}
    errors = json.loads((tmp_path / PROGRESS).read_text())["errors"]
    assert errors["1"]["others"][0]["reason"] == "timeout"


def test_state_costs_a_line_a_batch(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "fast", SCALES)
    sizes = []
    for number in range(300):
        journal.record(Batch("reduce", (str(number),), {}, data_files(str(number))))
        sizes.append((tmp_path / JOURNAL).stat().st_size)
    growth = {after - before for before, after in pairwise(sizes)}
    assert max(growth) < 200


def test_a_damaged_progress_file_is_told(tmp_path: Path) -> None:
    (tmp_path / PROGRESS).write_text('{"schema_version": 1, "run')
    with pytest.raises(RunError, match=r"progress\.json: is damaged"):
        load_progress(tmp_path, "fast")


@pytest.mark.parametrize("line", [b"5", b"{}", b'{"note": {"run_id": "x"}}', b'{"phase": "dance"}'])
def test_a_line_this_program_did_not_write_ends_the_journal(tmp_path: Path, line: bytes) -> None:
    fill(tmp_path)
    before = load_progress(tmp_path, "fast")
    assert list(damaged_state(tmp_path)) == []
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(
            line + b"\n" + json.dumps({"forget": ["9"], "phases": ["plot"]}).encode() + b"\n"
        )
    assert load_progress(tmp_path, "fast") == before
    assert [damage.path.name for damage in damaged_state(tmp_path)] == [JOURNAL]


def test_a_journal_that_was_removed_while_it_is_written_is_missed(tmp_path: Path) -> None:
    journal = fill(tmp_path)
    (tmp_path / JOURNAL).unlink()
    with pytest.raises(FileNotFoundError):
        journal.record(Batch("reduce", ("13",), {}, data_files("13")))


def test_a_journal_and_a_state_of_the_earlier_layout_are_read(tmp_path: Path) -> None:
    (tmp_path / PROGRESS).write_text(
        json.dumps(
            {
                "schema_version": 2,
                "run_id": "fast",
                "items_total": 3,
                "completed": {"reduce": ["1"], "plot": [], "own": ["1"]},
                "errors": {},
                "shards": {"1": "shard-00000.h5"},
                "other_shards": {"own": {"1": "shard-00001.h5"}},
                "fruitless_stops": 0,
            }
        )
    )
    line = {
        "schema_version": 2,
        "phase": "reduce",
        "items": ["2", "3"],
        "failures": {},
        "shard": "shard-00002.h5",
        "held": ["3"],
    }
    (tmp_path / JOURNAL).write_text(json.dumps(line) + "\n")
    assert not list(damaged_state(tmp_path))
    state = load_progress(tmp_path, "fast")
    assert state.data_files == {"1": "shard-00000.h5", "3": "shard-00002.h5"}
    assert state.stores["own"] == {"1": "shard-00001.h5"}
    assert state.settled["reduce"] == {"1", "2", "3"}
    Journal(tmp_path, "fast", SCALES).close()
    assert json.loads((tmp_path / PROGRESS).read_text())["schema_version"] == 3
    again = load_progress(tmp_path, "fast")
    assert (again.stores, again.settled) == (state.stores, state.settled)


@pytest.mark.parametrize(
    "name",
    [
        "../13.h5#0123456789abcdef",
        "2000/01/../../13.h5#0123456789abcdef",
        "2000/01/13.h5",
        "2000/01/13.h5#0123",
        "2000/1/13.h5#0123456789abcdef",
        "2000/01/13.txt#0123456789abcdef",
        "/2000/01/13.h5#0123456789abcdef",
        "../x/2000/01/13.h5#0123456789abcdef",
        "a/b/2000/01/13.h5#0123456789abcdef",
        "2000/01/.h5#0123456789abcdef",
    ],
)
def test_a_name_that_no_data_file_has_is_damage(tmp_path: Path, name: str) -> None:
    journal = fill(tmp_path)
    journal.record(Batch("reduce", ("13",), {}, {"13": name}))
    assert [damage.path.name for damage in damaged_state(tmp_path)] == [JOURNAL]
    assert "13" not in load_progress(tmp_path, "fast").data_files


def test_lost_items_are_not_in_the_store_any_more(tmp_path: Path) -> None:
    journal = fill(tmp_path)
    journal.lose(["12"])
    assert "12" not in load_progress(tmp_path, "fast").data_files
    assert load_progress(tmp_path, "fast").failures == {"11": (BROKEN,)}
