"""Limits of this process: cores, and memory by its control group (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_LEAST = 64 << 20
"""Smallest share of a rank, bytes; a compute process needs more than this to start."""
_LARGEST_KEPT, _MOST_KEPT = 32 << 20, 128 << 20
"""Freed memory that is used again: the largest piece, and in all, bytes."""


def cores_allowed() -> int:
    """Number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_of_limit(ranks_on_node: int) -> int:
    """Bytes that one of `ranks_on_node` may use with its compute process; 0: no limit.

    All ranks get equal shares. Coordinator and writer use little of theirs, which leaves room for
    the file system's cache and for the launcher.
    """
    limit = cgroup_limit()
    return max(_LEAST, limit // ranks_on_node) if limit else 0


def cgroup_limit(membership: Path = Path("/proc/self/cgroup"), mount: Path = _MOUNT) -> int:
    """The smallest memory limit of this process's control group and its parents, bytes; 0: none.

    Reads cgroup v1 and v2: `membership` lists the process's groups, `mount` is the root of the
    cgroup file system.
    """
    try:
        lines = membership.read_text().splitlines()
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
    # Version 1 reports "no limit" as a number larger than any memory.
    return min((limit for limit in limits if limit < physical), default=0)


def _limits_up(root: Path, group: str, name: str) -> list[int]:
    """Limits of a group and its parents; inside a container some of these are not visible."""
    limits = []
    innermost = root / group.strip("/")
    for folder in (innermost, *innermost.parents):
        try:
            word = (folder / name).read_text().strip()
        except OSError:
            word = ""
        if word.isdecimal():
            limits.append(int(word))
        if folder == root:
            break
    return limits


def keep_freed_memory() -> None:
    """Let this process use memory again that it has freed, instead of returning it to the system.

    The pages of a fresh buffer of a megabyte cost as much time as filling it. With glibc only.
    """
    trim_threshold, mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, _LARGEST_KEPT)
        libc.mallopt(trim_threshold, _MOST_KEPT)
