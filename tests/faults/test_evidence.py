"""A run that lost items or died leaves the evidence: samples to the end, and the likely cause."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import time
from pathlib import Path

import psutil

from spectro_mpi.diagnosis.verdict import diagnose
from spectro_mpi.report.run_figures import timeline
from spectro_mpi.resources import read_record, read_samples
from tests.conftest import spectro_mpi_here
from tests.faults.plant import plant
from tests.faults.runs import Bench, Started, processes_of

OFTEN = ("-s", "run.sample_interval_seconds=0.2")


def test_memory_that_ran_out_is_told_with_item_step_and_the_curve_up_to_the_kill(
    bench: Bench, tmp_path: Path
) -> None:
    limit = ("-s", "run.memory_limit_mb=600", "-s", "report.at_end=true")
    environment = plant(tmp_path, {"13313": "grows"}, "plot")
    # With the default interval: the curve is there although nothing was due.
    assert bench.run("grown", *limit, env=environment).code == 3
    run_dir = bench.run_dir("grown")
    diagnosis = diagnose(run_dir)
    assert diagnosis is not None
    assert (diagnosis.cause, diagnosis.item, diagnosis.phase, diagnosis.step) == (
        "out-of-memory", "13313", "plot", "ees",
    )  # fmt: skip
    memory = [megabytes for _, megabytes in diagnosis.curve]
    assert memory[-1] == max(memory) > 600
    assert memory[0] < 400
    assert len(memory) > 2
    assert diagnosis.limit_mb == 600
    status = spectro_mpi_here("status", run_dir)
    assert "likely cause: item 13313, phase plot, ees needed more memory than was" in status.out
    assert (
        json.loads(spectro_mpi_here("status", run_dir, "--json").out)["diagnosis"]["item"]
        == "13313"
    )
    drawn = timeline(run_dir)
    assert drawn is not None
    assert "item 13313, ees" in drawn.svg()
    page = (run_dir / "report" / "index.html").read_text()
    assert html.escape(diagnosis.sentence) in page
    section = page.partition('id="diagnosis"')[2].partition("</div>")[0]
    assert "13313</a>, phase plot, step ees" in section
    (line,) = re.findall(r'<polyline points="([^"]*)"', section)
    heights = [float(point.partition(",")[2]) for point in line.split()]
    assert len(heights) == len(diagnosis.curve)
    assert heights[-1] == min(heights)  # the most memory at the end
    (tmp_path / "mended").touch()
    bench.run("grown", *limit, "--retry", env=environment)
    assert diagnose(run_dir) is None


def test_a_job_that_was_killed_as_a_whole_leaves_its_last_samples_and_what_it_was_at(
    bench: Bench, tmp_path: Path
) -> None:
    environment = plant(tmp_path, {"13312": "sleeps"}, "plot")
    run = bench.start("silenced", *OFTEN, env=environment)
    run.wait_for(lambda: _is_at(run, "13312"))
    for pid in [run.launcher.pid, *_all_below(run.launcher.pid)]:
        os.kill(pid, signal.SIGKILL)
    run.end(20)
    assert processes_of(run.run_dir) == []
    record = read_record(run.run_dir)
    assert record is not None
    assert set(record.ranks.rank) == {0, 1, 2}
    assert set(record.ranks.ending) == {""}
    last = record.samples.at(record.samples.rank == 1)
    assert (last.phase[-1], last.item[-1], last.step[-1]) == ("plot", "13312", "ees")
    assert "reduce" in record.steps.phase
    diagnosis = diagnose(run.run_dir)
    assert diagnosis is not None
    assert diagnosis.cause == "killed"
    assert any("item 13312, phase plot, ees" in line for line in diagnosis.evidence)
    assert diagnosis.sentence in spectro_mpi_here("status", run.run_dir).out
    before = record.steps.item.tolist()
    (tmp_path / "mended").touch()
    assert bench.run("silenced", *OFTEN, env=environment).code == 3
    record = read_record(run.run_dir)
    assert record is not None
    assert set(record.ranks.execution) == {0, 1}
    assert record.steps.item[record.steps.execution == 0].tolist() == before
    assert diagnose(run.run_dir) is None
    bench.same_as_whole("silenced")


def test_a_run_that_was_asked_to_stop_says_by_what(bench: Bench, tmp_path: Path) -> None:
    environment = plant(tmp_path, {"13312": "sleeps"}, "plot")
    run = bench.start("asked", *OFTEN, env=environment)
    run.wait_for(lambda: _is_at(run, "13312"))
    assert diagnose(run.run_dir) is None
    coordinator = run.ranks()[0]
    os.kill(coordinator, signal.SIGTERM)
    time.sleep(0.4)  # sooner, it would count as the same signal
    os.kill(coordinator, signal.SIGTERM)
    assert run.end(20).code == 75
    diagnosis = diagnose(run.run_dir)
    assert diagnosis is not None
    assert diagnosis.cause == "stopped"
    assert "SIGTERM" in diagnosis.sentence


def _is_at(run: Started, item: str) -> bool:
    samples = read_samples(run.run_dir)
    if samples is None:
        return False
    # At the step that sleeps: a sample from before it has no step.
    there = (samples.phase == "plot") & (samples.item == item) & (samples.step == "ees")
    return bool(there.any())


def _all_below(pid: int) -> list[int]:
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]
