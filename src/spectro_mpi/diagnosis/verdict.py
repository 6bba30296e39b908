"""The likely cause of a run's end, or of failures for lack of memory, from files alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spectro_mpi.diagnosis.by_logs import Trace, find_traces
from spectro_mpi.diagnosis.by_samples import (
    last_of_each,
    lost_nodes,
    memory_short,
    time_over,
)
from spectro_mpi.errors import Cause, Failure, RunError
from spectro_mpi.resources import Record, read_record
from spectro_mpi.resources.lines import ReadLines, read_lines
from spectro_mpi.resources.tables import Ends, Samples
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import LOCK
from spectro_mpi.rundir.lock import is_running, read_owner
from spectro_mpi.system.scheduler import Job
from spectro_mpi.system.words import count, listed, utc

_CURVE_SECONDS = 600.0
"""Length of the memory curve."""
_ROOM = 1 << 20
"""Free bytes below which a disk counts as full."""
_LISTED = 4
"""Most lines, ranks or items named in one piece of evidence."""

_STOPS: tuple[Cause, ...] = ("stopped", "wall-time")
_SENTENCES: Mapping[Cause, str] = {
    "stopped": "the run was stopped early: {words}",
    "wall-time": "the run was stopped early: {words}",
    "disk-full": "the disk is full: {words}",
    "output-lost": "{words}",
}
"""Cause → sentence for the run; {words}: what the rank reported."""


@dataclass(frozen=True)
class Diagnosis:
    """The likely cause of a run's end, or of failures for lack of memory."""

    cause: Cause
    sentence: str
    evidence: tuple[str, ...] = ()
    """The evidence, one sentence each."""
    time: float | None = None
    """s since 1970 UTC."""
    rank: int | None = None
    host: str = ""
    item: str = ""
    phase: str = ""
    step: str = ""
    activity: str = ""
    curve: tuple[tuple[float, float], ...] = ()
    """(s since 1970 UTC, MB): memory of the rank and its compute process up to `time`."""
    limit_mb: float = 0.0
    """Memory limit in MB; 0 if unknown."""


def diagnose(
    run_dir: Path, jobs: Mapping[str, Job] | None = None, lines: ReadLines = read_lines
) -> Diagnosis | None:
    """Find what ended the last execution, or why items failed for lack of memory.

    `jobs`: job id → job, as the scheduler reports them. `lines` reads what ranks have sampled.
    Returns None if there is no problem.
    """
    # Samples are read only when needed: a long run has many.
    running, failed = is_running(run_dir), _failed_items(run_dir)
    if running and not failed:
        return None
    record = read_record(run_dir, ("ranks", "ends"), lines)
    last = record.of_last_execution() if record is not None else None
    if not running:
        diagnosis = _reported_by_ranks(last) if last is not None else None
        if diagnosis is None and _died(run_dir, last):
            full = read_record(run_dir)
            last = full.of_last_execution() if full is not None else None
            diagnosis = _of_death(run_dir, last, jobs or {})
        if diagnosis is not None:
            return diagnosis
    return _of_items(run_dir, record, failed) if record is not None and failed else None


def _died(run_dir: Path, last: Record | None) -> bool:
    if read_owner(run_dir) is not None:
        return True
    return last is not None and not last.ranks.ending.all()


def _reported_by_ranks(last: Record) -> Diagnosis | None:
    """The cause that a rank reported when it ended before the run was done; None if none did."""
    ranks = last.ranks
    rows = np.flatnonzero((ranks.cause != "") & (ranks.cause != "done"))
    if not len(rows):
        return None
    # A rank with an error reports it; the other ranks were stopped because of it.
    row = int(min(rows, key=lambda row: ranks.cause[row] in _STOPS))
    cause: Cause = ranks.cause[row].item()
    words = str(ranks.ending[row])
    sentence = _SENTENCES.get(cause, "rank {rank} ended the run: {words}")
    return Diagnosis(
        cause, sentence.format(rank=ranks.rank[row], words=words), time=float(ranks.ended[row]),
        rank=int(ranks.rank[row]), host=str(ranks.host[row]),
    )  # fmt: skip


def _of_death(run_dir: Path, last: Record | None, jobs: Mapping[str, Job]) -> Diagnosis:
    """The likely cause of an execution whose ranks reported nothing."""
    began = float(last.ranks.began.min()) if last is not None else _locked(run_dir)
    traces = find_traces(run_dir, began)
    states: list[tuple[Cause, str]] = [
        (job.verdict, f"job {name} is {job.state}") for name, job in jobs.items() if job.verdict
    ]
    evidence = [sentence for _, sentence in states] + [_quoted(trace) for trace in traces[:_LISTED]]
    causes: list[Cause] = [cause for cause, _ in states] + [trace.cause for trace in traces]
    if sentence := _no_room(run_dir):
        causes.append("disk-full")
        evidence.append(sentence)
    if last is None or not len(last.samples):
        cause = causes[0] if causes else "killed"
        return Diagnosis(cause, f"the run died: {_IN_WORDS[cause]}", tuple(evidence))
    end = float(last.samples.time.max())
    memory, lost = memory_short(last), lost_nodes(last)
    by_samples: list[tuple[Cause, str]] = [
        ("out-of-memory", memory),
        ("wall-time", time_over(last, end)),
        ("node-lost", lost),
    ]
    evidence += [sentence for _, sentence in by_samples if sentence]
    likely: list[Cause] = [cause for cause in causes if cause != "killed"]
    likely += [cause for cause, sentence in by_samples if sentence]
    cause = likely[0] if likely else "killed"
    return _at_the_end(last, cause, end, evidence)


def _at_the_end(last: Record, cause: Cause, end: float, evidence: list[str]) -> Diagnosis:
    """Add what the ranks were doing at their last samples."""
    samples = last_of_each(last.samples)
    total = samples.resident + samples.child_resident
    fullest = samples.at(np.argsort(-total, kind="stable")[:1])
    rank = int(fullest.rank[0])
    item, phase, step, activity = (
        str(getattr(fullest, name)[0]) for name in ("item", "phase", "step", "activity")
    )
    when = f"at {utc(end)}"
    if cause == "out-of-memory":
        sentence = (
            f"the run died {when}, out of memory: rank {rank} had {total.max():.0f} MB, "
            f"{'at ' if item else ''}{_at(item, phase, step, activity)}"
        )
    else:
        sentence = f"the run died {when}: {_IN_WORDS[cause]}"
        busy = samples.at(samples.item != "")
        at_work = [
            f"rank {busy.rank[row]}: {_at(*(str(getattr(busy, name)[row]) for name in _TAGS))}"
            for row in range(len(busy))
        ]
        if at_work:
            evidence = [*evidence, f"last seen: {listed(at_work, _LISTED, '; ')}"]
        evidence = [*evidence, f"highest memory then: rank {rank}, {total.max():.0f} MB"]
    return Diagnosis(
        cause, sentence, tuple(evidence), end, rank, _host(last, rank), item, phase, step, activity,
        _curve(last.samples, rank, end), _limit(last, rank),
    )  # fmt: skip


def _failed_items(run_dir: Path) -> list[str]:
    """Items that failed, perhaps for lack of memory, and that no later execution has fixed."""
    try:
        failures = load_progress(run_dir, "").failures
    except RunError:
        return []
    return [item for item, of_item in failures.items() if any(map(_may_be_memory, of_item))]


def _of_items(run_dir: Path, record: Record, failed: list[str]) -> Diagnosis | None:
    """The cause of the failures of these items for lack of memory; None if that was not it."""
    ends = record.ends
    short = ((ends.reason == "out-of-memory") | (ends.oom_kills > 0)) & np.isin(ends.item, failed)
    ends = ends.at(short)
    if not len(ends):
        return None
    items = list(dict.fromkeys(ends.item.tolist()))
    worst = ends.at(np.argsort(-ends.resident, kind="stable")[:1])
    rank, end = int(worst.rank[0]), float(worst.time[0])
    samples = (read_record(run_dir, ("ranks", "samples"), rank=rank) or record).samples
    of_execution = samples.at(samples.execution == worst.execution[0])
    limit = float(worst.limit[0])
    where = _at(*(str(getattr(worst, name)[0]) for name in _TAGS))
    allowed = f", limit {limit:.0f} MB" if limit else ", killed by the kernel"
    many = f"; {len(items)} items failed like this: {listed(items, _LISTED)}"
    return Diagnosis(
        "out-of-memory",
        f"{where} needed more memory than was available: {worst.resident[0]:.0f} MB{allowed}"
        f"{many if len(items) > 1 else ''}",
        tuple(_evidence_of(ends)), end, rank, _host(record, rank), str(worst.item[0]),
        str(worst.phase[0]), str(worst.step[0]), str(worst.activity[0]),
        _curve(of_execution, rank, end), limit,
    )  # fmt: skip


_TAGS = ("item", "phase", "step", "activity")

_IN_WORDS: Mapping[Cause, str] = {
    "wall-time": "its wall time ended",
    "node-lost": "a node was lost",
    "out-of-memory": "it was out of memory",
    "disk-full": "the disk was full",
    "output-lost": "its output could not be written",
    "exception": "an error in a rank ended it",
    "cancelled": "its job was cancelled",
    "killed": "its processes were killed (SIGKILL), and nothing recorded why",
    "stopped": "it was stopped",
}


def _evidence_of(ends: Ends) -> list[str]:
    sentences = [
        f"rank {ends.rank[row]} at {utc(float(ends.time[row]))}: {ends.message[row]}"
        for row in range(min(len(ends), _LISTED))
    ]
    kills = int(ends.oom_kills.sum())
    if kills:
        processes = count(kills, "process", "es")
        sentences.append(f"the kernel killed {processes} for lack of memory meanwhile")
    return sentences


def _curve(samples: Samples, rank: int, end: float) -> tuple[tuple[float, float], ...]:
    rows = samples.at(
        (samples.rank == rank) & (samples.time <= end) & (samples.time > end - _CURVE_SECONDS)
    )
    total = rows.resident + rows.child_resident
    points = zip(rows.time, total, strict=True)
    return tuple((float(time), round(float(memory), 1)) for time, memory in points)


def _limit(last: Record, rank: int) -> float:
    limits = last.ranks.limit[last.ranks.rank == rank]
    return float(limits[0]) if len(limits) else 0.0


def _host(record: Record, rank: int) -> str:
    hosts = record.ranks.host[record.ranks.rank == rank]
    return str(hosts[-1]) if len(hosts) else ""


def _no_room(run_dir: Path) -> str:
    """How little room the file system of the run has, if it is full; otherwise empty."""
    try:
        free = shutil.disk_usage(run_dir).free
    except OSError:
        return ""
    return f"{run_dir}: only {free / 1e6:.1f} MB are free" if free < _ROOM else ""


def _locked(run_dir: Path) -> float:
    """A minute before the lock's last heartbeat, s since 1970; 0 without a lock."""
    try:
        return (run_dir / LOCK).stat().st_mtime - 60
    except OSError:
        return 0.0


def _may_be_memory(failure: Failure) -> bool:
    return failure.reason in ("out-of-memory", "killed")


def _quoted(trace: Trace) -> str:
    return f"{trace.path.name}: {trace.line}"


def _at(item: str, phase: str, step: str, activity: str) -> str:
    """A place in the run, such as "item 13312, phase plot, ees (draw)"."""
    if not item:
        return "between items"
    suffix = f" ({activity})" if activity not in ("", "other") else ""
    return f"item {item}, phase {phase}, {step or 'start'}{suffix}"
