"""Limit each rank to one thread, since the ranks already use all cores."""

from __future__ import annotations

from collections.abc import MutableMapping

_NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def limit_threads(environment: MutableMapping[str, str]) -> None:
    """Make numerical libraries use one thread, unless the user has set their variables.

    Call this before they are imported, which is when they read the environment.
    """
    for name in _NAMES:
        environment.setdefault(name, "1")
