"""A run with everything that can be exported."""

from __future__ import annotations

import pytest

import spectro_mpi
from spectro_mpi.rundir.reader import Run
from tests.conftest import spectro_mpi as command

PHASE = '''
import numpy as np
from spectro_mpi import Artifact, Outputs, Phase

THICKNESS = Artifact("thickness", "", "thickness", ("time",), "km", "Thickness")
ERROR = Artifact("thickness_error", dataset="thickness_error", dims=("time",), units="km")
FLOW = Artifact("flow", dataset="flow", dims=("way", "time"), units="cm-2 s-1")
BINS = Artifact("histogram", dataset="histogram", dims=("time", "bin"), units="1")


class Own(Phase):
    """Numbers by record, by direction and record, and in bins."""

    name = "own"
    needs = (Artifact("spectrograms"),)
    gives = (THICKNESS, ERROR, FLOW, BINS)

    def run(self, item, inputs, context):
        outputs = Outputs()
        for instrument, one in inputs["spectrograms"].items():
            with context.boundary(instrument):
                records, time = np.arange(len(one.time), dtype=np.float32), {"time": one.time}
                rows = time | {"way": np.array(["down", "up"])}
                bins = time | {"bin": np.array([0.5, 1.5, 2.5])}
                outputs.put(THICKNESS, records, instrument, time)
                outputs.put(ERROR, records / 10, instrument, time)
                outputs.put(FLOW, np.stack([records, -records]), instrument, rows)
                outputs.put(BINS, np.repeat(records[:, None], 3, axis=1), instrument, bins)
        return outputs
'''


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Orbits 13312 to 13314: fluxes, uncertainties, angles, moments, ephemeris, data of a phase."""
    folder = tmp_path_factory.mktemp("exported")
    spectro_mpi.write_demo(folder, orbits=3, seed=0)
    (folder / "own.py").write_text(PHASE)
    settings = folder / "spectro-mpi.toml"
    more = (
        'phases=["reduce", "own.py:Own", "plot"]',
        'data.quantity="eflux"',
        "data.errors=true",
        "moments.compute=true",
        'plot.kinds=["angle"]',
        'plot.limits=["raw"]',
        "plot.dpi=40",
        "report.at_end=false",
    )
    done = command("run", settings, "--no-progress", *(w for s in more for w in ("-s", s)))
    assert done.code == 0, done.err
    return spectro_mpi.open_run(folder / "runs" / "fast")
