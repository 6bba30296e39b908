"""`spectro-mpi inventory` lists input files, and those to download again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.rundir.reader import open_run
from tests.conftest import NO_REPORT, spectro_mpi
from tests.istp_files import flux, variables, write

SETTINGS = f"""run_id = "r"
input = "data"
[data]
preset = "istp"
[[instrument]]
name = "ions"
file = "tst_{{date}}_v{{version}}.cdf"
value = "Flux"
[[instrument]]
name = "by_angle"
file = "tst_{{date}}_v{{version}}.cdf"
value = "Flux"
pitch_angle = "Pitch"
{NO_REPORT}"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with settings, and files that are whole or damaged in various ways."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "spectro-mpi.toml").write_text(SETTINGS)
    given = variables()
    for day in (1, 2, 3, 4, 5, 6):
        write(data / f"tst_2017010{day}_v1.cdf", given, compressed=day == 6)
    (data / "tst_20170102_v1.cdf").write_bytes(b"")
    half = (data / "tst_20170103_v1.cdf").read_bytes()
    (data / "tst_20170103_v1.cdf").write_bytes(half[: len(half) // 2])
    stub = {name: one for name, one in given.items() if name != "Flux"}
    write(data / "tst_20170104_v2.cdf", stub)
    nothing = replace(given["Flux"], data=np.full_like(flux(), -1e31))
    write(data / "tst_20170105_v1.cdf", {**given, "Flux": nothing})
    whole = bytearray((data / "tst_20170106_v1.cdf").read_bytes())
    at = whole.index(b"\x1f\x8b")  # of gzip
    whole[at + 20 : at + 60] = bytes(40)
    (data / "tst_20170106_v1.cdf").write_bytes(whole)
    return tmp_path


def test_damaged_files_are_listed_by_path_and_with_the_reason_on_request(archive: Path) -> None:
    data = archive / "data"
    bad = ["20170102_v1", "20170103_v1", "20170104_v2", "20170105_v1", "20170106_v1"]
    paths = [str(data / f"tst_{name}.cdf") for name in bad]
    plain = spectro_mpi("inventory", "--damaged", cwd=archive)
    assert (plain.code, plain.out.splitlines()) == (3, paths)
    assert plain.err == "5 of 6 files damaged\n"
    told = spectro_mpi("inventory", "spectro-mpi.toml", "--damaged", "-v", cwd=archive)
    assert told.out == plain.out
    reasons = ["is empty", "is truncated", "has no variable Flux", "none of its 12 records", "read"]
    for path, reason, line in zip(paths, reasons, told.err.splitlines(), strict=False):
        assert line.startswith(f"{path}: ")
        assert reason in line
        assert line.count(path) == 1


def test_an_archive_without_damage_has_nothing_to_list(archive: Path) -> None:
    done = spectro_mpi("inventory", "--damaged", "-s", "select.orbits=20170101", cwd=archive)
    assert (done.code, done.out, done.err) == (0, "", "0 of 1 file damaged\n")


def test_it_lists_each_file_that_a_run_reads_once(archive: Path) -> None:
    listed = spectro_mpi("inventory", "-v", cwd=archive)
    names = [Path(path).name for path in listed.out.splitlines()]
    assert names == [f"tst_2017010{day}_v{2 if day == 4 else 1}.cdf" for day in range(1, 7)]
    assert "tst_20170104_v1.cdf: used: " in listed.err
    planned = spectro_mpi("plan", "spectro-mpi.toml", cwd=archive)
    size = sum(Path(path).stat().st_size for path in listed.out.splitlines())
    assert f"6 items, 6 files, {size / 1e6:.1f} MB" in planned.out


def test_settings_that_no_file_fits_are_suspected(archive: Path) -> None:
    chosen = ("-s", "select.orbits=20170101", "-s", "select.instruments=['ions']")
    text = (archive / "spectro-mpi.toml").read_text()
    (archive / "spectro-mpi.toml").write_text(text.replace('"Flux"', '"Fluxes"'))
    done = spectro_mpi("inventory", "--damaged", *chosen, cwd=archive)
    assert done.code == 3
    assert "if they are whole, correct the settings" in done.err


@pytest.mark.slow
def test_the_damaged_files_of_the_demo_that_a_run_records_are_found(
    demo: DemoSummary, settings: Path
) -> None:
    done = spectro_mpi("inventory", settings, "--damaged")
    assert done.code == 3
    listed = set(done.out.splitlines())
    damaged = {str(file.path) for file in demo.damaged}
    assert listed
    assert listed <= damaged
    run = spectro_mpi("run", settings, "--no-progress", "-s", "phases=['reduce']")
    assert run.code == 3
    failures = open_run(settings.parent / "runs" / "fast").errors
    failed = {(item, each.instrument) for item, of_item in failures.items() for each in of_item}
    assert {tuple(Path(path).name.split("_")[5:2:-2]) for path in listed} == failed
