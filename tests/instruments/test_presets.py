"""A kind of input files is one module and one entry, in the program or in another package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import NO_REPORT, spectro_mpi
from tests.istp_files import ENERGY, PITCH, flux, variables, write

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def package(tmp_path: Path) -> dict[str, str]:
    """The documented preset, installed: the environment in which it is found."""
    code, entry = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (point,) = re.findall(r'^tst = "(.*)"$', PAGE.read_text(), re.M)
    site = tmp_path / "site"
    metadata = site / "tst_preset-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tst-preset\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[spectro_mpi.presets]\ntst = {point}\n")
    (site / "tst_preset.py").write_text(code)
    (site / "tst_preset_entry.py").write_text(entry)
    path = filter(None, [str(site), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": os.pathsep.join(path)}


def test_the_documented_preset_draws_files_of_another_kind(
    package: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for version in (1, 2):
        write(tmp_path / "data" / f"tst_l2_20170101_v{version}.cdf", variables())
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(
        'run_id = "tst"\ninput = "data"\n[data]\npreset = "tst"\n'
        f'[plot]\ndpi = 40\nscales = [["log", "log"]]\n{NO_REPORT}'
    )
    done = spectro_mpi("run", settings, ranks=3, env=package)
    assert done.code == 0, done.err
    run_dir = tmp_path / "runs" / "tst"
    names = {path.name for path in run_dir.glob("plots/2017/01/20170101/*.png")}
    assert "20170101_pitch-angle_TST_protons_y-log_z-log_raw-inferno.png" in names
    assert "20170101_instrument-grid_TST_y-log_z-log_given_extrema-inferno.png" in names
    done = spectro_mpi("status", run_dir, env=package)
    assert "finished" in done.out, done.err
    assert spectro_mpi("verify", run_dir, env=package).code == 0
    assert spectro_mpi("report", run_dir, env=package).code == 0
    code = (
        "import sys, numpy, spectro_mpi\n"
        "run = spectro_mpi.open_run(sys.argv[1])\n"
        "numpy.save(sys.argv[2], run.spectrogram('20170101', 'protons').values[0])\n"
    )
    _python(package, code, run_dir, tmp_path / "values.npy")
    values = np.where(flux() > -1e30, flux(), np.nan)
    np.testing.assert_allclose(np.load(tmp_path / "values.npy"), np.nanmean(values, 1), rtol=1e-6)
    assert PITCH.shape + ENERGY.shape == flux().shape[1:]


def test_an_unknown_preset_names_those_there_are(package: dict[str, str], tmp_path: Path) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text('[data]\npreset = "fast-eas"\n')
    done = spectro_mpi("plan", settings, env=package)
    assert done.code == 2
    assert "'fast-esa' or 'istp' or 'tst'" in done.err
    assert done.err.count("\n") == 1


def test_a_quantity_of_another_preset_is_refused(tmp_path: Path) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text('[data]\nquantity = "fluence"\n')
    done = spectro_mpi("plan", settings)
    assert done.code == 2
    assert "data.quantity" in done.err
    assert "'counts'" in done.err


def test_a_run_of_a_preset_that_is_not_installed_is_refused_with_a_sentence(
    package: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "tst_l2_20170101_v1.cdf", variables())
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(f'input = "data"\n[data]\npreset = "tst"\n[plot]\ndpi = 40\n{NO_REPORT}')
    assert spectro_mpi("run", settings, "--only", "reduce", env=package).code == 0
    done = spectro_mpi("status", tmp_path / "runs" / "fast")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert 'data.preset = "tst"' in done.err


def test_a_package_that_cannot_be_imported_spoils_no_other(
    package: dict[str, str], tmp_path: Path
) -> None:
    metadata = tmp_path / "site" / "broken-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[spectro_mpi.presets]\nbroken = broken:PRESET\n")
    (tmp_path / "site" / "broken.py").write_text("raise RuntimeError('as planted')\n")
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "tst_l2_20170101_v1.cdf", variables())
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text('input = "data"\n[data]\npreset = "tst"\n')
    assert spectro_mpi("plan", settings, env=package).code == 0
    done = spectro_mpi("plan", settings, "-s", "data.preset=broken", env=package)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert 'data.preset = "broken"' in done.err
    assert "RuntimeError: as planted" in done.err


def test_a_quantity_without_meaning_for_the_preset_is_refused(
    package: dict[str, str], tmp_path: Path
) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text('[data]\npreset = "tst"\nquantity = "eflux"\n')
    done = spectro_mpi("plan", settings, env=package)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "data.quantity" in done.err


def _python(env: dict[str, str], code: str, *arguments: Path) -> None:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    subprocess.run(command, env={**os.environ, **env}, check=True)
