"""Exported files pass the checks that archives make, and open in pySPEDAS (extra `standards`)."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spectro_mpi.rundir.reader import Run
from tests.conftest import BIN, spectro_mpi_here

_ALLOWED = (
    # The order of the dimensions is that of the store: by category, then by time.
    r"spatio-temporal dimensions are not in the recommended order",
    # Channels have two edges; the checker expects corners of cells in two dimensions.
    r"Dimension energy_edges of boundary variable \(for energy\) must have at least 3",
)
_SEVERAL_DAYS = "multiple days"
"""spacepy's rule for daily files; those of an orbit may cross midnight."""


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (pip install '.[standards]')")


def python(code: str, *words: str | Path) -> str:
    """The output of a program in a process of its own: these packages change global state."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standard")
    for kind in ("cdf", "netcdf"):
        words = ("--format", kind, "-o", folder, "--items", "13312")
        assert spectro_mpi_here("export", run.path, *words).code == 0
    return folder


def test_spacepy_finds_nothing_against_istp(folder: Path) -> None:
    needs("spacepy")
    paths = sorted(folder.glob("*.cdf"))
    code = """
import json, sys
from spacepy import pycdf
from spacepy.pycdf.istp import FileChecks
found = {}
for path in sys.argv[1:]:
    with pycdf.CDF(path) as cdf:
        found[path] = FileChecks.all(cdf)
print(json.dumps(found))
"""
    found = json.loads(python(code, *paths).splitlines()[-1])
    assert len(found) == 2
    for path, errors in found.items():
        assert [each for each in errors if _SEVERAL_DAYS not in each] == [], path


def test_pyspedas_loads_spectrograms_with_their_axes(run: Run, folder: Path) -> None:
    needs("pyspedas")
    code = """
import json, sys
import pyspedas
names = pyspedas.cdf_to_tplot(sys.argv[1:])
data = pyspedas.get_data("ees_eflux_downgoing")
shown = pyspedas.tplot_tools.data_quants["ees_eflux_downgoing"].attrs["plot_options"]
print(json.dumps({
    "names": names, "shape": data.y.shape, "time": float(data.times[0]),
    "energy": float(data.v[0][5]), "value": float(data.y[10][20]),
    "spec": shown["extras"]["spec"], "z": shown["zaxis_opt"]["z_axis_type"],
    "y": shown["yaxis_opt"]["y_axis_type"],
}))
"""
    loaded = json.loads(python(code, *sorted(folder.glob("*.cdf"))).splitlines()[-1])
    one = run.spectrogram("13312", "ees")
    row = one.category.index("downgoing")
    assert {"ees_eflux_all", "ies_eflux_all", "ees_alt", "ees_flow_up"} <= set(loaded["names"])
    assert loaded["shape"] == list(one.values.shape[1:])
    assert loaded["time"] == pytest.approx(float(one.time[0]), abs=1e-5)
    assert loaded["energy"] == pytest.approx(float(one.energy[0, 5]))
    assert loaded["value"] == pytest.approx(float(one.values[row, 10, 20]))
    assert (loaded["spec"], loaded["z"], loaded["y"]) == (1, "log", "log")


def test_a_run_gives_tplot_variables(run: Run) -> None:
    needs("pyspedas")
    code = """
import json, sys
import pyspedas, spectro_mpi
run = spectro_mpi.open_run(sys.argv[1])
names = run.tplot("13312", prefix="a_")
data = pyspedas.get_data("a_ees_eflux_upgoing")
shown = pyspedas.tplot_tools.data_quants["a_ees_eflux_upgoing"].attrs["plot_options"]
pyspedas.tplot(["a_ees_eflux_upgoing", "a_ees_alt", "a_ies_eflux_angle_50_1000"],
               save_png=sys.argv[2], display=False)
print(json.dumps([names, data.y.shape, data.v.shape, shown["yaxis_opt"], shown["zaxis_opt"]]))
"""
    picture = run.path / "tplot.png"
    names, values, energy, y_axis, z_axis = json.loads(
        python(code, run.path, picture).splitlines()[-1]
    )
    one = run.spectrogram("13312", "ees")
    assert {"a_ees_eflux_all", "a_ees_thickness", "a_ees_flow_down", "a_ies_mlt"} <= set(names)
    assert values == energy == list(one.values.shape[1:])
    limits = run.limits("13312", "ees", "upgoing")
    assert limits is not None
    assert y_axis["y_range"] == [limits.y_min, limits.y_max] and y_axis["y_axis_type"] == "log"
    assert z_axis["z_range"] == [limits.z_min, limits.z_max] and z_axis["z_axis_type"] == "log"
    assert picture.stat().st_size > 10_000
    picture.unlink()


def test_without_pyspedas_one_sentence_says_what_to_install(run: Run) -> None:
    code = """
import sys
sys.modules["pyspedas"] = None
import spectro_mpi
try:
    spectro_mpi.open_run(sys.argv[1]).tplot("13312")
except spectro_mpi.UserError as error:
    print(error)
"""
    assert "needs pySPEDAS, which is not installed: run pip install pyspedas" in python(
        code, run.path
    )


def test_the_compliance_checker_finds_nothing_against_cf(folder: Path) -> None:
    needs("compliance_checker")
    for path in folder.glob("*.nc"):
        done = subprocess.run(
            [str(BIN / "compliance-checker"), "--test=cf:1.11", str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        found = [line[2:] for line in done.stdout.splitlines() if line.startswith("* ")]
        others = [line for line in found if not any(re.search(each, line) for each in _ALLOWED)]
        assert others == [], path
        assert "CF" in done.stdout or "cf:1.11" in done.stdout
