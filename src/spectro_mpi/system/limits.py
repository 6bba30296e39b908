"""What of the machine this process may use: cores, and memory by its control group (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_LEAST = 64 << 20
"""No share is smaller: a compute process needs more than that to start."""


def cores_allowed() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_of_limit(ranks_on_node: int) -> int:
    """Bytes that one of so many ranks may use together with its compute process; 0: no limit.

    The ranks share evenly. The coordinator's and the writer's shares are mostly left over, which
    is room for what the file system caches and for the launcher.
    """
    limit = cgroup_limit()
    return max(_LEAST, limit // ranks_on_node) if limit else 0


def cgroup_limit(own: Path = Path("/proc/self/cgroup"), mount: Path = _MOUNT) -> int:
    """The smallest memory limit on the way from this process's control group up; 0: none.

    Version 1 and 2 of the interface; `own` and `mount` are where Linux tells.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return 0
    limits = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            limits += _limits_up(mount / "memory", group, "memory.limit_in_bytes")
        elif not controllers:
            limits += _limits_up(mount, group, "memory.max")
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Version 1 says "no limit" with a number beyond any memory.
    return min((limit for limit in limits if limit < physical), default=0)


def _limits_up(root: Path, group: str, name: str) -> list[int]:
    """The limits of a group and of those it is in; in a container some are out of sight."""
    found = []
    folder = root / group.strip("/")
    for one in (folder, *folder.parents):
        try:
            word = (one / name).read_text().strip()
        except OSError:
            word = ""
        if word.isdecimal():
            found.append(int(word))
        if one == root:
            break
    return found
