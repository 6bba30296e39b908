"""Progress bars of a run in a notebook, by tqdm."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spectro_mpi.rundir.live import read_live

_LOOK_SECONDS = 0.5


def notebook_bars() -> Any:
    """`tqdm.auto.tqdm` if this is a notebook and tqdm is installed; else None."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or "ipykernel" not in type(shell).__module__:
        return None
    try:
        return importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        return None


@contextlib.contextmanager
def shown_bars(run_dir: Path, bars: Any) -> Iterator[None]:
    """Show a bar for each phase of the run in `run_dir` while inside; `bars` makes one."""
    stop = threading.Event()
    thread = threading.Thread(target=_follow, args=(run_dir, bars, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _follow(run_dir: Path, bars: Any, stop: threading.Event) -> None:
    phase, bar = "", None
    while not stop.wait(_LOOK_SECONDS):
        live = read_live(run_dir)
        if live is None:
            continue
        if live.phase != phase:
            _complete(bar)
            phase, bar = live.phase, bars(total=live.total, desc=live.phase, unit="item")
        if bar is not None:
            bar.update(live.done - bar.n)
            if live.failed:
                bar.set_postfix(failed=live.failed)
    _complete(bar)


def _complete(bar: Any) -> None:
    """Close the bar of a phase that is over: what was not seen of it has been done."""
    if bar is not None:
        bar.update(bar.total - bar.n)
        bar.close()
