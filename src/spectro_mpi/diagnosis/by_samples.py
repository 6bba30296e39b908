"""What the samples of a run that fell silent speak for: memory, wall time, a lost node."""

from __future__ import annotations

import numpy as np

from spectro_mpi.resources import Record
from spectro_mpi.resources.tables import Samples
from spectro_mpi.system.words import utc

_NEARLY = 0.9
"""Share of a memory limit that counts as having reached it."""
_LITTLE = 0.04
"""Share of a node's memory below which nothing is left."""
_ABOUT = 30.0
"""Seconds before the end of the wall time that count as its end."""
_SILENT_INTERVALS, _SILENT_SECONDS = 3.0, 10.0
"""A node is lost if it falls silent so much earlier than the others."""


def memory_short(last: Record) -> str:
    """Says so if memory was nearly used up on a node when the run was last seen."""
    samples, ranks = last_of_each(last.samples), last.ranks
    for host in dict.fromkeys(ranks.host.tolist()):
        own = ranks.at(ranks.host == host)
        there = samples.at(np.isin(samples.rank, own.rank))
        used, limit = float((there.resident + there.child_resident).sum()), float(own.limit.max())
        if limit and used > _NEARLY * limit:
            return f"the job's processes on {host} had {used:.0f} MB of {limit:.0f} MB"
        nodes = last.nodes.at(last.nodes.host == host)
        if not len(nodes):
            continue
        available, memory = float(nodes.available[-1]), float(own.memory.max())
        if available < _LITTLE * memory:
            return f"on {host} {available:.0f} MB of {memory:.0f} MB were left"
        kills = int(nodes.oom_kills[-1] - nodes.oom_kills[0])
        if kills:
            return f"the kernel of {host} ended {kills} processes for memory while the run went on"
    return ""


def time_over(last: Record, end: float) -> str:
    """Says so if the job's wall time was over when the run was last seen."""
    ends = last.ranks.job_ends[np.isfinite(last.ranks.job_ends)]
    if len(ends) and end > ends.min() - _ABOUT:
        return f"the job's time ended at {utc(float(ends.min()))}"
    return ""


def lost_nodes(last: Record) -> str:
    """Says so if a node fell silent before the others did."""
    latest = last_of_each(last.samples)
    hosts = dict(zip(last.ranks.rank.tolist(), last.ranks.host.tolist(), strict=True))
    of_host = np.array([hosts.get(rank, "") for rank in latest.rank.tolist()])
    silent = {host: float(latest.time[of_host == host].max()) for host in np.unique(of_host)}
    end = max(silent.values())
    patience = max(_SILENT_SECONDS, _SILENT_INTERVALS * float(last.ranks.interval.max()))
    lost = [host for host, at in silent.items() if at < end - patience]
    if not lost:
        return ""
    at = utc(min(silent[host] for host in lost))
    return f"nothing came from {', '.join(lost)} after {at}, from the others until {utc(end)}"


def last_of_each(samples: Samples) -> Samples:
    """The last row of each rank; rows are in order of time."""
    _, from_end = np.unique(samples.rank[::-1], return_index=True)
    return samples.at(len(samples) - 1 - from_end)
