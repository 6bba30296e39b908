"""What of the machine is ours."""

from __future__ import annotations

import os


def cores_allowed() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
