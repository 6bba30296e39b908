"""The subcommands that need no MPI start fast and work where MPI does not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spectro_mpi import open_run
from tests.conftest import BIN, slow_figures_path, spectro_mpi, spectro_mpi_here


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


def test_ranks_load_no_parsers_of_other_commands() -> None:
    others = {f"spectro_mpi.cli.{name}" for name in ("plan", "look", "fetch", "jobs", "input")}
    assert not modules_of("run", "--help") & others
    assert modules_of("--help") >= others


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
    assert (plot["done"], plot["not_possible"], plot["total"]) == (0, 2, 12)
    assert table["errors"]["13314"][0]["reason"] == "invalid-cdf"
    spectro_mpi("run", settings)
    assert json.loads(spectro_mpi("status", run_dir, "--json").out)["state"] == "finished"
    assert "13314 ees reduce invalid-cdf" in spectro_mpi("status", run_dir).out


def test_demo_does_not_overwrite(settings: Path) -> None:
    refused = spectro_mpi("demo", settings.parent)
    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sttus", "x"], "sttus: there is no such command or settings file; did you mean status?"),
        (["stop", "x"], "did you mean cancel?"),
        (["xyzzy"], "`spectro-mpi --help` lists the commands"),
        (["--retyr", "x.toml"], "run: there is no option --retyr; did you mean --retry?"),
        (["status", "--wtch"], "status: there is no option --wtch; did you mean --watch?"),
        (["draw", "x.cdf", "--knd=pitch-angle"], "did you mean --kind?"),
        (["status", "-x", "here"], "`spectro-mpi status --help` lists its options"),
        (["run", "a.toml", "b.toml"], "run: unexpected b.toml"),
        (["-s", "plot.dpi=50", "plan", "x.toml"], "write the command before its options"),
        (["status", "runs/fst"], "did you mean runs/fast?"),
        (["status", "fst"], "did you mean fast?"),
        (["plan", "settins.toml"], "there is no such settings file; did you mean settings.toml?"),
        (["run", "FILE.cdf"], "`spectro-mpi draw FILE.cdf -o figure.png` draws it"),
        (["FILE.cdf"], "`spectro-mpi inspect FILE.cdf > spectro-mpi.toml` writes settings"),
        (["plan", "data"], "`spectro-mpi inspect data > spectro-mpi.toml` writes settings"),
        (["data"], "data: is a directory, not a settings file"),
        (["plan", "runs/fast"], "that of a run; to continue it, name its settings file"),
        (["plan", "sample"], "did you mean sample/spectro-mpi.toml?"),
        (["run", "settings.toml", "--only", "redce"], "did you mean reduce?"),
        (["plot"], "did you mean draw?"),
        (["plots"], "did you mean draw?"),
        (["version"], "did you mean --version?"),
        (["run", "-np", "4", "settings.toml"], "run: there is no option -np; did you mean -n?"),
        (["run", "--workers", "4"], "did you mean -n?"),
        (["run", "--worker", "4"], "`spectro-mpi run --help` lists its options"),
        (["run", "-n", "4x"], "run: -n/--ranks: expected a whole number of at least 1, not 4x"),
        (["run", "-s", "plot.dpi", "100", "settings.toml"], "run: -s: expected key=value, as in"),
        (["serve", "runs/fast", "--port", "http"], "expected a whole number from 1 to 65535"),
        (["draw", "x.cdf", "-o", "x.png", "--kind", "pitchangle"], "did you mean pitch-angle?"),
        (["draw", "FILE.cdf"], "draw: the following arguments are required: -o; `spectro-mpi draw"),
        (["inspect"], "inspect: the following arguments are required: FILE; "),
        (["export", "runs/fast", "--format", "nc"], "nc is none of cdf, netcdf"),
    ],
)
def test_a_slip_on_the_command_line_is_one_sentence_that_helps(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("data", "runs/fast", "sample"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("FILE.cdf", "settings.toml", "runs/fast/config.toml", "sample/spectro-mpi.toml"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    # A run writes to the terminal itself.
    is_run = arguments[0] == "run" or Path(arguments[0]).exists()
    done = (spectro_mpi if is_run else spectro_mpi_here)(*arguments)
    assert done.code == 2
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_more_ranks_than_pipes_can_be_open_for_are_refused(settings: Path) -> None:
    command = f"ulimit -n 64 && {BIN / 'spectro-mpi'} run -n 100 {settings}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "100 ranks are too many for processes of this machine (Too many open" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_with_a_command_is_its_help_and_v_is_the_version() -> None:
    assert spectro_mpi_here("help", "report").out.startswith("usage: spectro-mpi report")
    assert spectro_mpi_here("-V").out == spectro_mpi_here("--version").out


@pytest.mark.slow
def test_a_mistake_under_mpirun_is_reported_once(settings: Path) -> None:
    done = spectro_mpi("sttus", ranks=3)
    assert done.code == 2
    assert done.err.count("did you mean status?") == 1
    refused = spectro_mpi("run", settings, "-n", "4", ranks=3)
    assert refused.code == 2
    assert refused.err.count("-n 4: is for runs without a launcher") == 1
    assert "started 3 ranks" in refused.err


def test_n_runs_ranks_without_mpirun_and_without_mpi(settings: Path) -> None:
    arguments = ["-s", "select.orbits=13312,13400", "-s", "extrema.max_percentile=0.5"]
    # Where MPI cannot be loaded.
    (settings.parent / "mpi4py.py").write_text("raise ImportError('no MPI here')")
    done = spectro_mpi(
        "run", settings, "-n", "4", *arguments, env={"PYTHONPATH": str(settings.parent)}
    )
    assert done.code == 0, done.err
    first, *_, last = done.out.splitlines()
    assert re.fullmatch(r"4 ranks: 2 workers on \S+ \(processes, without mpirun\)", first)
    assert re.fullmatch(r"took [\d.]+ s", last)
    assert "select.orbits: the input has no files of 13400\n" in done.out
    warning = "spectro-mpi: warning: extrema.max_percentile = 0.5: is 0 to 100, not a share of 1"
    assert [line.startswith(warning) for line in done.err.splitlines()] == [True]
    logs = settings.parent / "runs" / "fast" / "logs"
    assert len(list(logs.glob("rank-*.log"))) == 4


def test_ctrl_c_stops_a_run_of_processes_cleanly(settings: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": slow_figures_path(settings.parent, 3.0)}
    command = [str(BIN / "spectro-mpi"), "run", str(settings), "-n", "4", "--no-progress"]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("4 ranks: 2 workers")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
        out, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "run again to continue" in out
    assert "Traceback" not in err


def test_a_forgotten_mpirun_is_mentioned_in_the_first_line(settings: Path) -> None:
    few = ("-s", "select.orbits=13312", "--only", "reduce")
    first = spectro_mpi("run", settings, *few).out.splitlines()[0]
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        assert f"1 of {cores} cores computes; more do with `mpirun -n {cores + 2} " in first
    assert first.startswith("1 rank: 1 worker on ")
    launched = spectro_mpi("run", settings, *few, ranks=3).out.splitlines()[0]
    assert re.fullmatch(r"3 ranks: 1 worker on \S+", launched)


def test_the_log_level_reaches_ranks_and_refuses_unknown_ones(settings: Path) -> None:
    few = ("-s", "select.orbits=13312", "--only", "reduce", "--no-progress")
    assert spectro_mpi("run", settings, *few, "-n", "3", "--log-level", "debug").code == 0
    log = settings.parent / "runs" / "fast" / "logs" / "rank-0002.log"
    assert "DEBUG" in log.read_text()
    assert spectro_mpi("run", settings, "--log-level", "loud").code == 2


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
