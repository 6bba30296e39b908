"""The likely cause of a run's end is diagnosis in its samples and logs, whatever it was."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from spectro_mpi.diagnosis.verdict import Diagnosis, diagnose
from spectro_mpi.resources.archive import fold
from spectro_mpi.resources.lines import LineFile
from spectro_mpi.system.scheduler import Job

START, END = 1.8e9, 1.8e9 + 100
HOSTS = {0: "node1", 1: "node1", 2: "node2", 3: "node2"}
JOB_LOG = "jobs/spectro-mpi-77.log"


def test_nothing_sampled_nothing_said(tmp_path: Path) -> None:
    assert diagnose(tmp_path) is None


def test_a_run_that_ended_well_has_no_diagnosis(tmp_path: Path) -> None:
    _leave(tmp_path, ending="done")
    assert diagnose(tmp_path) is None


def test_memory_that_nearly_reached_the_jobs_limit(tmp_path: Path) -> None:
    _leave(tmp_path, limit=4000, last_mb={1: 3900.0})
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == "out-of-memory"
    assert diagnosis.sentence == (
        "the run died at 2027-01-15 08:01:40 UTC, out of memory: rank 1 had 3950 MB, "
        "at item 13312, phase plot, ees (draw)"
    )
    assert (diagnosis.rank, diagnosis.host, diagnosis.item, diagnosis.step) == (
        1,
        "node1",
        "13312",
        "ees",
    )
    assert diagnosis.curve[-1] == (END, 3950.0)
    assert diagnosis.limit_mb == 4000
    assert any("used 4000 MB of 4000 MB" in line for line in diagnosis.evidence)


def test_memory_of_the_node_that_was_used_up(tmp_path: Path) -> None:
    _leave(tmp_path, available=500.0)
    assert _diagnosed(tmp_path).cause == "out-of-memory"


def test_a_process_that_the_kernel_ended(tmp_path: Path) -> None:
    _leave(tmp_path, oom_kills=1)
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == "out-of-memory"
    assert any("the kernel of node1 killed 1 process " in line for line in diagnosis.evidence)


def test_the_end_of_the_wall_time(tmp_path: Path) -> None:
    _leave(tmp_path, job_ends=END + 5)
    assert _diagnosed(tmp_path).cause == "wall-time"
    assert "its wall time ended" in _diagnosed(tmp_path).sentence


def test_a_node_that_fell_silent_before_the_others(tmp_path: Path) -> None:
    _leave(tmp_path, silent={"node2": 60.0})
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == "node-lost"
    assert any(
        "the samples of node2 end at 2027-01-15 08:01:00" in line for line in diagnosis.evidence
    )


def test_a_run_killed_without_a_trace(tmp_path: Path) -> None:
    _leave(tmp_path)
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == "killed"
    assert any("rank 1: item 13312, phase plot, ees (draw)" in line for line in diagnosis.evidence)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("slurmstepd: error: *** JOB 77 ON n1 CANCELLED AT 2027 DUE TO TIME LIMIT", "wall-time"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=77.batch.", "out-of-memory"),
        ("slurmstepd: error: *** STEP 77.0 CANCELLED AT 2027 DUE TO NODE FAILURE", "node-lost"),
        ("slurmstepd: error: *** JOB 77 ON n1 CANCELLED AT 2027-01-15T08:01:40 ***", "cancelled"),
        ("OSError: [Errno 28] No space left on device", "disk-full"),
        ("spectro-mpi: rank 2 of 4 ends the job:", "exception"),
        ("=   KILLED BY SIGNAL: 9 (Killed)", "killed"),
    ],
)  # fmt: skip
def test_what_slurm_and_mpirun_said(tmp_path: Path, words: str, cause: str) -> None:
    _leave(tmp_path)
    log = tmp_path / JOB_LOG
    log.parent.mkdir()
    log.write_text(f"reduce: 10/20 items\n{words}\n")
    os.utime(log, (END, END))
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == cause
    assert any(words in line for line in diagnosis.evidence)
    # What an earlier execution left behind is no evidence for this one.
    os.utime(log, (START - 10, START - 10))
    assert _diagnosed(tmp_path).cause == "killed"


def test_what_slurm_says_of_the_job_counts(tmp_path: Path) -> None:
    _leave(tmp_path)
    diagnosis = diagnose(tmp_path, {"77": Job("TIMEOUT", verdict="wall-time")})
    assert diagnosis is not None
    assert diagnosis.cause == "wall-time"
    assert "job 77 is TIMEOUT" in diagnosis.evidence


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("rank 0 got SIGTERM", "stopped"),
        ("the job is about to end", "wall-time"),
        ("a sentence about a full disk", "disk-full"),
        ("a sentence about lost output", "output-lost"),
        ("stopped: but by an exception", "exception"),
    ],
)
def test_what_a_rank_reported_at_its_end_is_taken_as_reported(
    tmp_path: Path, words: str, cause: str
) -> None:
    _leave(tmp_path, ending=words, cause=cause)
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == cause
    assert words in diagnosis.sentence


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("stopped: rank 0 got SIGTERM", "stopped"),
        ("stopped: the job is about to end", "wall-time"),
        ("runs/fast/data: the output cannot be written: No space left on device; …", "disk-full"),
        ("runs/fast/data: the output cannot be written: Stale file handle; …", "output-lost"),
        ("ZeroDivisionError: division by zero", "exception"),
    ],
)
def test_records_of_0_1_have_no_cause_but_words(tmp_path: Path, words: str, cause: str) -> None:
    _leave(tmp_path, ending=words)
    assert _diagnosed(tmp_path).cause == cause
    fold(tmp_path)
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == cause
    assert words.removeprefix("stopped: ") in diagnosis.sentence


def test_a_dead_run_that_was_not_sampled(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text(
        '{"host": "gone", "pid": 1, "started": "never 1", "job": "77"}'
    )
    os.utime(tmp_path / "run.lock", (1e9, 1e9))
    diagnosis = _diagnosed(tmp_path)
    assert diagnosis.cause == "killed"
    assert diagnosis.time is None


def _diagnosed(run_dir: Path) -> Diagnosis:
    diagnosis = diagnose(run_dir)
    assert diagnosis is not None
    return diagnosis


def _leave(
    run_dir: Path,
    ending: str = "",
    cause: str = "",
    limit: float = 0.0,
    last_mb: Mapping[int, float] | None = None,
    available: float = 50_000.0,
    oom_kills: int = 0,
    job_ends: float = math.nan,
    silent: Mapping[str, float] | None = None,
) -> None:
    """Write the samples of four ranks on two nodes, last seen at END."""
    for rank, host in HOSTS.items():
        ended = END if ending else math.nan
        row = [host, 7, "worker", START, ended, ending, 5.0, 2, 64_000.0, limit, "77", job_ends]
        file = LineFile(run_dir, rank)
        file.append([("ranks", [*row, cause] if cause else row)])
        tags = ["plot", "13312", "ees", "draw"] if rank == 1 else ["", "", "", ""]
        for at in range(20, 101, 20):
            if at > (silent or {}).get(host, math.inf):
                break
            child = (last_mb or {}).get(rank, 0.0) if at == 100 else 0.0
            row = [START + at, 20.0, 0.1, 0.9, 50.0, child, 1.0, 1.0, *tags]
            file.append([("samples", row)])
            if rank in (0, 2):
                left, kills = (available, oom_kills) if at == 100 else (50_000.0, 0)
                file.append([("nodes", [START + at, host, 2.0, 2.0, left, kills])])
        file.close()
