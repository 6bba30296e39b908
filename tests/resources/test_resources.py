"""What a run used of the machine is sampled, kept within bounds, and read at any time."""

from __future__ import annotations

import math
import os
import shutil
import time
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from spectro_mpi.resources import Record, fold, read_record, read_samples, read_steps
from spectro_mpi.resources.lines import GrowingLines, LineFile, read_lines
from spectro_mpi.resources.sampler import Sampler
from spectro_mpi.resources.sampling import Ending, Station
from spectro_mpi.resources.tables import SAMPLES_KEPT, Ends, Samples, rows_of, table_of, thin
from spectro_mpi.rundir.layout import RESOURCES, all_rank_lines
from spectro_mpi.system.activity import ACTIVITIES, doing, spent, start_counting
from tests.conftest import spectro_mpi

HERE = Station(rank=0, size=1, roles="worker", leads_node=True)


def test_every_rank_tells_what_it_used_and_what_it_was_at(sampled: Path) -> None:
    samples = read_samples(sampled)
    assert samples is not None
    assert set(samples.rank) == {0, 1, 2, 3}
    assert (np.diff(samples.time) >= 0).all()
    busy = samples.at(samples.item != "")
    assert set(busy.rank) == {1, 2}
    assert set(busy.phase) <= {"reduce", "plot"}
    assert {"draw", "read"} & set(busy.activity)
    assert {"ees", "ies"} & set(busy.step)
    assert busy.child_cpu.max() > 0.2
    assert busy.child_resident.max() > 30
    assert samples.resident.min() > 10
    assert busy.read.sum() > 1


def test_nodes_stacks_and_ranks_are_told(sampled: Path) -> None:
    record = _record(sampled)
    assert (record.nodes.available > 0).all()
    assert (record.nodes.available < record.ranks.memory[0]).all()
    assert set(record.plans.phase) == {"reduce", "plot"}
    assert set(record.plans.worker) == {1, 2}
    roles = dict(zip(record.ranks.rank.tolist(), record.ranks.roles.tolist(), strict=True))
    assert roles == {0: "coordinator", 1: "worker", 2: "worker", 3: "writer"}
    assert set(record.ranks.ending) == {"done"}
    assert (record.ranks.ended > record.ranks.began).all()


def test_every_task_has_its_step_with_what_it_was_spent_on(sampled: Path) -> None:
    steps = read_steps(sampled)
    assert steps is not None
    done = steps.at(steps.item != "")
    tasks = list(zip(done.phase.tolist(), done.item.tolist(), strict=True))
    assert len(tasks) == len(set(tasks))
    assert {item for phase, item in tasks if phase == "reduce"} >= {"13312", "13313"}
    drawn = done.at(done.phase == "plot")
    spent_on = dict(zip(ACTIVITIES, drawn.spent.sum(axis=0), strict=True))
    assert spent_on["draw"] > 0
    assert spent_on["encode"] > 0
    assert spent_on["write"] > 0
    assert (done.spent.sum(axis=1) <= done.seconds + 0.01).all()
    for rank in (1, 2):
        own = done.at(done.rank == rank)
        assert (own.begin[1:] > (own.begin + own.seconds)[:-1] - 0.01).all()


def test_columns_are_plain_hdf5_with_units(sampled: Path) -> None:
    with h5py.File(sampled / RESOURCES) as file:
        assert file["samples/child_resident"].attrs["units"] == "MB"
        assert file["samples/item"].dtype.kind == "S"
    assert (sampled / RESOURCES).stat().st_size < 200_000
    assert not (sampled / "resources").exists()


def test_a_second_execution_is_told_beside_the_first(sampled: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(sampled, again)
    _ranks_file(again, began=1e9)
    fold(again)
    assert set(_record(again).ranks.execution) == {0, 1}
    assert _record(again).of_last_execution().ranks.rank.tolist() == [5]


def test_no_interval_no_samples(settings: Path) -> None:
    off = "run.sample_interval_seconds=0"
    assert spectro_mpi("run", settings, "-s", off, "-s", 'select.orbits="13312"').code == 0
    assert read_record(settings.parent / "runs" / "fast") is None


def test_a_path_may_be_text(sampled: Path) -> None:
    whole = read_record(str(sampled))
    assert whole is not None
    assert len(whole.ranks) == 4
    assert read_samples(str(sampled)) is not None


def test_a_folder_that_cannot_be_made_ends_the_sampling_and_not_the_run(settings: Path) -> None:
    output = settings.parent / "runs" / "fast"
    assert spectro_mpi("run", settings, "-s", 'select.orbits="13312"', "--only=reduce").code == 0
    (output / "resources").write_text("in the way")
    done = spectro_mpi("run", settings, "-s", 'select.orbits="13312"')
    assert done.code == 0, done.err
    assert "resource sampling stopped" in (output / "logs" / "rank-0000.log").read_text()


def test_a_fold_that_was_interrupted_takes_nothing_in_twice(tmp_path: Path) -> None:
    _ranks_file(tmp_path, began=1e9)
    left = tmp_path / "left"
    shutil.copytree(tmp_path / "resources", left)
    fold(tmp_path)
    shutil.copytree(left, tmp_path / "resources")
    assert len(_record(tmp_path).ranks) == 1
    fold(tmp_path)
    assert len(_record(tmp_path).ranks) == 1
    assert not all_rank_lines(tmp_path)


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    file = _ranks_file(tmp_path, began=1e9)
    with file.open("ab") as lines:
        lines.write(b'["nodes",1.0,"here",0.5,1,100.0,0]\n["nodes",2.0,"he')
    assert _record(tmp_path).nodes.time.tolist() == [1.0]


def test_a_damaged_archive_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / RESOURCES).write_bytes(b"not HDF5")
    _ranks_file(tmp_path, began=1e9)
    assert len(_record(tmp_path).ranks) == 1
    fold(tmp_path)
    assert (tmp_path / f"{RESOURCES}.damaged").exists()
    assert len(_record(tmp_path).ranks) == 1


@pytest.mark.slow
def test_a_long_feed_stays_within_bounds_and_keeps_its_peaks_and_its_last_minutes(
    tmp_path: Path,
) -> None:
    rows = [
        [float(at), 1.0, 0.5, 1.0, 50.0, 900.0 if at == 777 else 100.0, 2.0, 1.0,
         "reduce", str(at), "ees", "read"]
        for at in range(30_000)
    ]  # fmt: skip
    for rank in range(10):
        file = LineFile(tmp_path, rank)
        file.append([("ranks", _ranks_row(1e9 + rank))])
        file.append([("samples", row) for row in rows])
        file.close()
    before = sum(path.stat().st_size for path in all_rank_lines(tmp_path).values())
    fold(tmp_path)
    samples = _record(tmp_path).samples
    assert SAMPLES_KEPT / 4 < len(samples) <= SAMPLES_KEPT
    assert (tmp_path / RESOURCES).stat().st_size < before / 10
    fullest = samples.at(samples.child_resident > 800)
    assert set(fullest.item) == {"777"}
    assert len(fullest) == 10
    assert samples.read.sum() == 10 * 30_000 * 2
    assert samples.seconds.sum() == 10 * 30_000


def test_thinning_leaves_the_last_rows_of_each_rank_as_they_are() -> None:
    rows = [
        [0, rank, float(at), 1.0, float(at % 2), 0.0, 1.0, 1.0, 1.0, 0.0, "", "", "", ""]
        for at in range(100)
        for rank in (0, 1)
    ]
    thinned = thin(table_of(Samples, rows), width=8, kept=5)
    for rank in (0, 1):
        own = thinned.at(thinned.rank == rank)
        assert own.time[-5:].tolist() == [95.0, 96.0, 97.0, 98.0, 99.0]
        assert own.seconds[:3].tolist() == [8.0, 8.0, 8.0]
        assert own.cpu[:3].tolist() == [0.5, 0.5, 0.5]
    assert len(thin(table_of(Samples, []), width=8)) == 0


def test_a_ranks_own_file_is_thinned_while_it_is_written(tmp_path: Path) -> None:
    station = Station(rank=0, size=10**6, roles="worker", leads_node=False)
    sampler = Sampler(tmp_path, station, interval=0.001)
    samples = None
    end = time.monotonic() + 30
    while samples is None or samples.seconds[0] < 0.005:
        assert time.monotonic() < end
        samples = read_samples(tmp_path)
    sampler.close(Ending())
    samples = read_samples(tmp_path)
    assert samples is not None
    assert len(samples) <= 242
    assert math.isclose(samples.seconds.sum(), samples.time[-1] - _record(tmp_path).ranks.began[0],
                        abs_tol=0.05)  # fmt: skip


def test_memory_that_grows_is_written_down_before_its_turn(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path, HERE, interval=1000)
    held = bytearray(300 << 20)
    end = time.monotonic() + 30
    while read_samples(tmp_path) is None:
        assert time.monotonic() < end
    samples = read_samples(tmp_path)
    assert samples is not None
    assert samples.resident.max() > len(held) / 2**20
    sampler.close(Ending())


def test_a_compute_process_that_is_lost_leaves_what_it_was_at(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path, HERE, interval=1000)
    sampler.child(os.getpid(), type("Shown", (), {"value": ACTIVITIES.index("draw")}))
    sampler.begins("plot", "13312")
    sampler.step("ies")
    sampler.memory(4000.0)
    sampler.child_lost("out-of-memory", "needed 4000 MB", limit=3900)
    record = _record(tmp_path)  # before it is closed: a rank may be killed, too
    assert rows_of(record.ends)[0][3:8] == ["plot", "13312", "ies", "draw", "out-of-memory"]
    assert record.ends.resident.tolist() == [4000.0]
    assert record.ends.limit.tolist() == [3900.0]
    assert record.samples.child_resident.tolist() == [4000.0]
    sampler.done("plot", "13312", 0, 1.5, 0, ())
    sampler.close(Ending())
    assert _record(tmp_path).steps.peak.tolist() == [4000.0]
    assert _record(tmp_path).ranks.ending.tolist() == ["done"]


def test_time_within_a_task_is_counted_by_what_it_is_spent_on() -> None:
    start_counting()
    with doing("draw"):
        _burn(0.02)
        with doing("encode"):
            _burn(0.03)
    seconds = dict(zip(ACTIVITIES, spent(), strict=True))
    assert seconds["draw"] >= 0.02
    assert seconds["encode"] >= 0.03
    assert seconds["read"] == seconds["write"] == 0
    start_counting()
    assert spent()[1:] == (0.0,) * (len(ACTIVITIES) - 1)


def _burn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _record(run_dir: Path) -> Record:
    record = read_record(run_dir)
    assert record is not None
    return record


def _ranks_row(began: float) -> list[object]:
    return ["here", 7, "worker", began, math.nan, "", 5.0, 2, 1e4, 0.0, "", math.nan]


def _ranks_file(run_dir: Path, began: float) -> Path:
    file = LineFile(run_dir, 5)
    file.append([("ranks", _ranks_row(began))])
    file.close()
    return all_rank_lines(run_dir)[5]


def test_growing_lines_are_read_once(tmp_path: Path) -> None:
    file, lines = LineFile(tmp_path, 0), GrowingLines()

    def row(time: float) -> list[object]:
        kinds = [column.metadata["dtype"] for column in fields(Ends)[2:]]
        return [time, *("" if kind == "U" else 0 for kind in kinds[1:])]

    for count in range(1, 4):
        file.append([("samples", [1.0]), ("ends", row(float(count)))])
        assert len(lines(file.path, ("ranks", "ends"))["ends"]) == count
        assert lines(file.path, ("ranks", "ends")) == read_lines(file.path, ("ranks", "ends"))
    with file.path.open("ab") as half:
        half.write(b'["ends",')
    assert len(lines(file.path, ("ranks", "ends"))["ends"]) == 3
    content = file.path.read_bytes()
    file.path.write_bytes(b"\n" * len(content))  # what is known is not read again
    assert len(lines(file.path, ("ranks", "ends"))["ends"]) == 3
    file.replace("ends", [row(9.0)])  # another file
    assert [row[0] for row in lines(file.path, ("ranks", "ends"))["ends"]] == [9.0]
    file.close()
    file.path.unlink()
    assert lines(file.path, ("ranks", "ends"))["ends"] == []
