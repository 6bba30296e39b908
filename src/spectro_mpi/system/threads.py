"""One thread for each rank: ranks are the parallelism."""

from __future__ import annotations

from collections.abc import MutableMapping

_NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def limit_threads(environment: MutableMapping[str, str]) -> None:
    """Have numerical libraries use one thread, unless the user says otherwise.

    They look at the environment when they are imported.
    """
    for name in _NAMES:
        environment.setdefault(name, "1")
