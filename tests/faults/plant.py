"""Faults inside a phase, planted in the compute process for certain items."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

FAULTS = {
    "sleeps": "while True: time.sleep(1)",
    "segfaults": "ctypes.string_at(0)",
    "grows": "held = []\nwhile True: held.append(b'x' * (32 << 20))",
    "raises": "raise LookupError('planted')",
    "exits": "sys.exit(9)",
    "dies": "os.kill(os.getpid(), signal.SIGKILL)",
}
"""Kind of fault → what the compute process does."""

_SITE = """
import ctypes, os, signal, sys, time
def plant():
    from spectro_mpi.phases.{phase} import {name} as planted
    run, faults, mended = planted.run, {faults!r}, {mended!r}
    def faulty(self, item, inputs, context):
        fault = faults.get(item.id)
        if fault and not os.path.exists(mended + item.id) and not os.path.exists(mended):
            context.status("ees")
            if {once}:
                open(mended + item.id, "w").close()
            exec(fault)
        return run(self, item, inputs, context)
    planted.run = faulty
if "spawn_main" in " ".join(sys.orig_argv):
    plant()
else:
    os.register_at_fork(after_in_child=plant)
"""


def plant(
    folder: Path, faults: Mapping[str, str], phase: str = "reduce", once: bool = False
) -> dict[str, str]:
    """Environment of a run in which `phase` of some items (item → fault) goes wrong.

    `once`: only the first time. A file `mended` in the folder takes all faults away.
    """
    script = _SITE.format(
        phase=phase,
        name={"reduce": "ReducePhase", "plot": "PlotPhase"}[phase],
        faults={item: FAULTS[fault] for item, fault in faults.items()},
        mended=str(folder / "mended"),
        once=once,
    )
    (folder / "sitecustomize.py").write_text(script)
    # Before, not in place of, what the tests themselves run with.
    before = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), before)))}
