"""The subcommands that need no MPI start fast and work where MPI does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spectro_mpi import open_run
from tests.conftest import spectro_mpi


def modules_of(*arguments: str | Path) -> set[str]:
    """Modules that are loaded once a command has ended."""
    code = (
        "import sys; from spectro_mpi.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_commands_of_the_login_node_import_neither_mpi_nor_matplotlib(settings: Path) -> None:
    assert spectro_mpi("run", settings, "-s", "select.orbits=13312").code == 0
    for arguments in (
        ["--help"],
        ["plan", settings],
        ["status", settings.parent / "runs" / "fast"],
        ["demo", settings.parent / "demo", "--orbits", "1"],
    ):
        assert not modules_of(*arguments) & {"mpi4py", "mpi4py.MPI", "matplotlib"}, arguments


def test_a_report_is_made_without_mpi(settings: Path) -> None:
    assert spectro_mpi("run", settings, "-s", "select.orbits=13314").code == 3
    loaded = modules_of("report", settings.parent / "runs" / "fast")
    assert not loaded & {"mpi4py", "mpi4py.MPI", "cdflib", "pycdfpp"}


def test_coordinator_and_writer_never_import_matplotlib() -> None:
    code = "import sys, spectro_mpi.mpi.session\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"matplotlib", "cdflib", "mpi4py"}


def test_help_names_every_command_and_exit_code() -> None:
    done = spectro_mpi("--help")
    assert done.code == 0
    for word in ("run", "plan", "status", "demo", "75", "3 finished"):
        assert word in done.out
    assert spectro_mpi("--version").out.startswith("spectro-mpi ")


def test_help_loads_nothing_that_is_slow_to_load() -> None:
    heavy = ["numpy", "h5py", "matplotlib", "pydantic", "mpi4py", "cdflib", "psutil", "rich"]
    code = (
        "import contextlib, sys\n"
        "from spectro_mpi.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['--help'])\n"
        f"print('loaded:', [name for name in {heavy} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("loaded: []\n")


def test_plan_tells_items_bytes_and_loads(settings: Path) -> None:
    done = spectro_mpi("plan", settings, "--ranks", "4,16")
    assert done.code == 0
    assert "12 items" in done.out
    assert "4 ranks: 2 workers, 6-6 items each, imbalance" in done.out
    assert "16 ranks: 14 workers, 0-1 items each" in done.out


def test_no_command_is_run_and_no_config_is_the_file_here(settings: Path) -> None:
    done = spectro_mpi("-s", "select.orbits=13312", cwd=settings.parent)
    assert done.code == 0
    assert open_run(settings.parent / "runs/fast").completed("plot") == ["13312"]


@pytest.mark.slow
def test_status_reads_a_run_from_its_files(settings: Path) -> None:
    spectro_mpi("run", settings, "--only", "reduce")
    run_dir = settings.parent / "runs" / "fast"
    table = json.loads(spectro_mpi("status", run_dir, "--json").out)
    assert table["state"] == "stopped"
    reduce, plot = table["phases"]
    assert (reduce["done"], reduce["failed"], reduce["total"]) == (5, 7, 12)
    assert (plot["done"], plot["total"]) == (0, 10)
    assert table["errors"]["13314"][0]["reason"] == "invalid-cdf"
    spectro_mpi("run", settings)
    assert json.loads(spectro_mpi("status", run_dir, "--json").out)["state"] == "finished"
    assert "13314 ees reduce invalid-cdf" in spectro_mpi("status", run_dir).out


def test_demo_does_not_overwrite(settings: Path) -> None:
    refused = spectro_mpi("demo", settings.parent)
    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["run", "--only", "dance"],
        ["plan"],
        ["plan", "x.toml", "--ranks", "0"],
        ["plan", "x.toml", "--ranks", "many"],
        ["demo", "here", "--orbits", "0"],
        ["demo", "here", "--burst-records", "1000000"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], tmp_path: Path) -> None:
    done = spectro_mpi(*arguments, cwd=tmp_path)
    assert done.code == 2
    assert "Traceback" not in done.err
