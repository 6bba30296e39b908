"""Evidence in the samples of a run that died: lack of memory, wall time, a lost node."""

from __future__ import annotations

import numpy as np

from spectro_mpi.resources import Record
from spectro_mpi.resources.tables import Samples
from spectro_mpi.system.words import count, utc

_NEARLY = 0.9
"""Share of a memory limit that counts as reaching it."""
_LITTLE = 0.04
"""Share of a node's memory; if less is available, the node is out of memory."""
_ABOUT = 30.0
"""Last seconds of the wall time that count as its end."""
_SILENT_INTERVALS, _SILENT_SECONDS = 3.0, 10.0
"""A node is lost if its samples end this much earlier than those of the others."""


def memory_short(last: Record) -> str:
    """Why a node was out of memory at the last sample, or empty."""
    samples, ranks = last_of_each(last.samples), last.ranks
    for host in dict.fromkeys(ranks.host.tolist()):
        on_host = ranks.at(ranks.host == host)
        latest = samples.at(np.isin(samples.rank, on_host.rank))
        used = float((latest.resident + latest.child_resident).sum())
        limit = float(on_host.limit.max())
        if limit and used > _NEARLY * limit:
            return f"the job's processes on {host} used {used:.0f} MB of {limit:.0f} MB"
        nodes = last.nodes.at(last.nodes.host == host)
        if not len(nodes):
            continue
        available, memory = float(nodes.available[-1]), float(on_host.memory.max())
        if available < _LITTLE * memory:
            return f"only {available:.0f} MB of {memory:.0f} MB were available on {host}"
        kills = int(nodes.oom_kills[-1] - nodes.oom_kills[0])
        if kills:
            processes = count(kills, "process", "es")
            return f"the kernel of {host} killed {processes} for lack of memory during the run"
    return ""


def time_over(last: Record, end: float) -> str:
    """When the wall time of the job ended, if the last sample is about then or later, or empty."""
    ends = last.ranks.job_ends[np.isfinite(last.ranks.job_ends)]
    if len(ends) and end > ends.min() - _ABOUT:
        return f"the wall time of the job ended at {utc(float(ends.min()))}"
    return ""


def lost_nodes(last: Record) -> str:
    """Which nodes were lost (their samples end before those of the others), or empty."""
    latest = last_of_each(last.samples)
    hosts = dict(zip(last.ranks.rank.tolist(), last.ranks.host.tolist(), strict=True))
    of_host = np.array([hosts.get(rank, "") for rank in latest.rank.tolist()])
    last_seen = {host: float(latest.time[of_host == host].max()) for host in np.unique(of_host)}
    end = max(last_seen.values())
    patience = max(_SILENT_SECONDS, _SILENT_INTERVALS * float(last.ranks.interval.max()))
    lost = [host for host, time in last_seen.items() if time < end - patience]
    if not lost:
        return ""
    first = utc(min(last_seen[host] for host in lost))
    return f"the samples of {', '.join(lost)} end at {first}, those of other nodes at {utc(end)}"


def last_of_each(samples: Samples) -> Samples:
    """The last row of each rank. `samples` must be sorted by time."""
    _, from_end = np.unique(samples.rank[::-1], return_index=True)
    return samples.at(len(samples) - 1 - from_end)
