"""Why a run died, or what it lost items to: the likely cause, from what is on disk alone."""

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
from spectro_mpi.resources.tables import Ends, Samples
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import LOCK
from spectro_mpi.rundir.lock import is_running, read_owner
from spectro_mpi.system.scheduler import Job
from spectro_mpi.system.words import listed, utc

_CURVE_SECONDS = 600.0
_ROOM = 1 << 20
"""Bytes free below which a disk is full."""
_LISTED = 4


_STOPS: tuple[Cause, ...] = ("stopped", "wall-time")
_SENTENCES: Mapping[Cause, str] = {
    "stopped": "the run was stopped early: {words}",
    "wall-time": "the run was stopped early: {words}",
    "disk-full": "the disk is full: {words}",
    "output-lost": "{words}",
}
"""Cause → what a rank's own words of it mean for the run."""


@dataclass(frozen=True)
class Diagnosis:
    """The likely cause of a run's end, or of items it lost to memory."""

    cause: Cause
    sentence: str
    evidence: tuple[str, ...] = ()
    """What speaks for it, a sentence each."""
    time: float | None = None
    """s since 1970 UTC."""
    rank: int | None = None
    host: str = ""
    item: str = ""
    phase: str = ""
    step: str = ""
    activity: str = ""
    curve: tuple[tuple[float, float], ...] = ()
    """(s since 1970 UTC, MB): memory of the rank and its compute process up to then."""
    limit_mb: float = 0.0
    """Memory there was; 0: not known."""


def diagnose(run_dir: Path, jobs: Mapping[str, Job] | None = None) -> Diagnosis | None:
    """What ended the last execution, or cost it items for memory; None: nothing is amiss.

    `jobs`: job id → job, where somebody has asked the scheduler.
    """
    # Samples are read where they are needed: of a long run there are many.
    record = read_record(run_dir, ("ranks", "ends"))
    last = record.of_last_execution() if record is not None else None
    if not is_running(run_dir):
        found = _reported_by_ranks(last) if last is not None else None
        if found is None and _died(run_dir, last):
            full = read_record(run_dir)
            last = full.of_last_execution() if full is not None else None
            found = _of_death(run_dir, last, jobs or {})
        if found is not None:
            return found
    return _of_items(run_dir, record) if record is not None else None


def _died(run_dir: Path, last: Record | None) -> bool:
    if read_owner(run_dir) is not None:
        return True
    return last is not None and not last.ranks.ending.all()


def _reported_by_ranks(last: Record) -> Diagnosis | None:
    """What a rank reported when it ended, if that was not the proper end."""
    ranks = last.ranks
    rows = np.flatnonzero((ranks.cause != "") & (ranks.cause != "done"))
    if not len(rows):
        return None
    # A rank in trouble says so; that others were stopped follows from it.
    row = int(min(rows, key=lambda row: ranks.cause[row] in _STOPS))
    cause: Cause = ranks.cause[row].item()
    words = str(ranks.ending[row])
    sentence = _SENTENCES.get(cause, "rank {rank} ended the run: {words}")
    return Diagnosis(
        cause, sentence.format(rank=ranks.rank[row], words=words), time=float(ranks.ended[row]),
        rank=int(ranks.rank[row]), host=str(ranks.host[row]),
    )  # fmt: skip


def _of_death(run_dir: Path, last: Record | None, jobs: Mapping[str, Job]) -> Diagnosis:
    """Of an execution that ended without a word."""
    began = float(last.ranks.began.min()) if last is not None else _locked(run_dir)
    found = find_traces(run_dir, began)
    states: list[tuple[Cause, str]] = [
        (job.verdict, f"job {name} is {job.state}") for name, job in jobs.items() if job.verdict
    ]
    evidence = [told for _, told in states] + [_quoted(one) for one in found[:_LISTED]]
    said: list[Cause] = [cause for cause, _ in states] + [one.cause for one in found]
    if told := _no_room(run_dir):
        said.append("disk-full")
        evidence.append(told)
    if last is None or not len(last.samples):
        cause = said[0] if said else "killed"
        return Diagnosis(cause, f"the run died: {_IN_WORDS[cause]}", tuple(evidence))
    end = float(last.samples.time.max())
    memory, lost = memory_short(last), lost_nodes(last)
    known: list[tuple[Cause, str]] = [
        ("out-of-memory", memory),
        ("wall-time", time_over(last, end)),
        ("node-lost", lost),
    ]
    evidence += [told for _, told in known if told]
    likely: list[Cause] = [one for one in said if one != "killed"]
    likely += [one for one, told in known if told]
    cause = likely[0] if likely else "killed"
    return _at_the_end(last, cause, end, evidence)


def _at_the_end(last: Record, cause: Cause, end: float, evidence: list[str]) -> Diagnosis:
    """With what the ranks were at when they fell silent."""
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
            f"the run died {when}, out of memory: rank {rank} had {total.max():.0f} MB, at "
            f"{_at(item, phase, step, activity)}"
        )
    else:
        sentence = f"the run died {when}: {_IN_WORDS[cause]}"
        busy = samples.at(samples.item != "")
        at_work = [
            f"rank {busy.rank[row]} {_at(*(str(getattr(busy, name)[row]) for name in _TAGS))}"
            for row in range(len(busy))
        ]
        if at_work:
            evidence = [*evidence, f"last seen: {listed(at_work, _LISTED, '; ')}"]
        evidence = [*evidence, f"highest memory then: rank {rank}, {total.max():.0f} MB"]
    return Diagnosis(
        cause, sentence, tuple(evidence), end, rank, _host(last, rank), item, phase, step, activity,
        _curve(last.samples, rank, end), _limit(last, rank),
    )  # fmt: skip


def _of_items(run_dir: Path, record: Record) -> Diagnosis | None:
    """Of items that failed, and are failed still, because their compute process had no memory."""
    try:
        failures = load_progress(run_dir, "").failures
    except RunError:
        return None
    still = [item for item, ones in failures.items() if any(map(_may_be_memory, ones))]
    ends = record.ends
    short = ((ends.reason == "out-of-memory") | (ends.oom_kills > 0)) & np.isin(ends.item, still)
    ends = ends.at(short)
    if not len(ends):
        return None
    items = list(dict.fromkeys(ends.item.tolist()))
    worst = ends.at(np.argsort(-ends.resident, kind="stable")[:1])
    rank, end = int(worst.rank[0]), float(worst.time[0])
    samples = (read_record(run_dir, ("ranks", "samples")) or record).samples
    own = samples.at(samples.execution == worst.execution[0])
    limit = float(worst.limit[0])
    where = _at(*(str(getattr(worst, name)[0]) for name in _TAGS))
    allowed = f", {limit:.0f} MB were allowed" if limit else ", the kernel ended it"
    many = f"; {len(items)} items failed so: {listed(items, _LISTED)}" if len(items) > 1 else ""
    return Diagnosis(
        "out-of-memory",
        f"{where} needed more memory than there was: {worst.resident[0]:.0f} MB{allowed}{many}",
        tuple(_evidence_of(ends)), end, rank, _host(record, rank), str(worst.item[0]),
        str(worst.phase[0]), str(worst.step[0]), str(worst.activity[0]), _curve(own, rank, end),
        limit,
    )  # fmt: skip


_TAGS = ("item", "phase", "step", "activity")

_IN_WORDS: Mapping[Cause, str] = {
    "wall-time": "its wall time was over",
    "node-lost": "a node was lost",
    "out-of-memory": "it was out of memory",
    "disk-full": "the disk was full",
    "output-lost": "its output could not be written",
    "exception": "a rank ended it with an error",
    "cancelled": "its job was cancelled",
    "killed": "its processes were killed (SIGKILL) by something that left no word",
    "stopped": "it was stopped",
}


def _evidence_of(ends: Ends) -> list[str]:
    told = [
        f"rank {ends.rank[row]} at {utc(float(ends.time[row]))}: {ends.message[row]}"
        for row in range(min(len(ends), _LISTED))
    ]
    kills = int(ends.oom_kills.sum())
    return [*told, f"the kernel ended {kills} processes for memory meanwhile"] if kills else told


def _curve(samples: Samples, rank: int, end: float) -> tuple[tuple[float, float], ...]:
    own = samples.at(
        (samples.rank == rank) & (samples.time <= end) & (samples.time > end - _CURVE_SECONDS)
    )
    total = own.resident + own.child_resident
    return tuple(
        (float(at), round(float(memory), 1)) for at, memory in zip(own.time, total, strict=True)
    )


def _limit(last: Record, rank: int) -> float:
    limits = last.ranks.limit[last.ranks.rank == rank]
    return float(limits[0]) if len(limits) else 0.0


def _host(record: Record, rank: int) -> str:
    hosts = record.ranks.host[record.ranks.rank == rank]
    return str(hosts[-1]) if len(hosts) else ""


def _no_room(run_dir: Path) -> str:
    """Says so if the file system has no room for more."""
    try:
        free = shutil.disk_usage(run_dir).free
    except OSError:
        return ""
    return f"{run_dir}: {free / 1e6:.1f} MB are free there" if free < _ROOM else ""


def _locked(run_dir: Path) -> float:
    """About when the lock's owner was last alive, s since 1970."""
    try:
        return (run_dir / LOCK).stat().st_mtime - 60
    except OSError:
        return 0.0


def _may_be_memory(failure: Failure) -> bool:
    return failure.reason in ("out-of-memory", "killed")


def _quoted(trace: Trace) -> str:
    return f"{trace.path.name}: {trace.line}"


def _at(item: str, phase: str, step: str, activity: str) -> str:
    """Such as "item 13312, phase plot, ees (draw)"."""
    if not item:
        return "between items"
    told = f" ({activity})" if activity not in ("", "other") else ""
    return f"item {item}, phase {phase}, {step or 'start'}{told}"
