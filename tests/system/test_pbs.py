"""PBS Professional: its commands are called as its manual says, and its answers understood.

No PBS can be installed where the tests run: the commands here replay answers of its manual
(qstat(1B), option -F json) with the attributes of pbs_job_attributes(7B).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spectro_mpi.errors import UserError
from spectro_mpi.operations.submit import submitted_for
from spectro_mpi.settings.loading import config_from_text
from spectro_mpi.settings.schema import SettingsError
from spectro_mpi.system.scheduler import commands, named
from spectro_mpi.system.scheduler.base import Job, OwnJob
from spectro_mpi.system.scheduler.pbs import Pbs
from spectro_mpi.system.scheduler.slurm import Slurm
from tests.conftest import Finished, spectro_mpi
from tests.system.fake_commands import FakeCommands

SCRIPTS = Path(__file__).parents[2] / "jobs"
JOB = "1234.pbs01"


@pytest.fixture
def pbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCommands:
    """The commands of PBS, first in the PATH."""
    fake = FakeCommands(tmp_path / "bin", "qsub", "qstat", "qdel", "qalter", "qsig", "pbs_rstat")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(commands, "PAUSES", (0.0, 0.0))
    for name in ("PBS_JOBID", "SPECTRO_MPI_RESTARTS", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    return fake


def answer_of(**attributes: Any) -> str:
    """The answer of `qstat -f -F json` on one job."""
    return json.dumps(
        {
            "timestamp": 1479277336,
            "pbs_version": "14.1",
            "pbs_server": "pbs01",
            "Jobs": {JOB: {"Job_Name": "spectro-mpi", "Job_Owner": "me@pbs01", **attributes}},
        },
        indent=8,
    )


@pytest.mark.parametrize(
    ("attributes", "job"),
    [
        ({"job_state": "Q"}, Job("QUEUED", is_waiting=True)),
        ({"job_state": "H"}, Job("HELD", is_waiting=True)),
        ({"job_state": "W"}, Job("WAITING", is_waiting=True)),
        ({"job_state": "R", "run_count": 1}, Job("RUNNING", is_on_nodes=True)),
        ({"job_state": "R", "run_count": 3}, Job("RUNNING", is_on_nodes=True, restarts=2)),
        ({"job_state": "E", "run_count": "1"}, Job("EXITING", is_on_nodes=True)),
        ({"job_state": "S"}, Job("SUSPENDED", is_on_nodes=True)),
        ({"job_state": "F", "Exit_status": 0}, Job("FINISHED")),
        ({"job_state": "F", "Exit_status": 75}, Job("FINISHED")),
        ({"job_state": "F", "Exit_status": -29}, Job("FINISHED", verdict="wall-time")),
        ({"job_state": "F", "Exit_status": -27}, Job("FINISHED", verdict="out-of-memory")),
        ({"job_state": "F", "Exit_status": 271}, Job("FINISHED", verdict="cancelled")),
        (
            {"job_state": "Q", "Variable_List": {"SPECTRO_MPI_RESTARTS": "2", "PBS_O_HOME": "/h"}},
            Job("QUEUED", is_waiting=True, restarts=2),
        ),
        ({"job_state": "?", "run_count": [], "Exit_status": "x"}, Job("?")),
        ({}, Job("UNKNOWN")),
    ],
)
def test_states_are_understood(pbs: FakeCommands, attributes: dict[str, Any], job: Job) -> None:
    pbs.will_answer("qstat", (0, answer_of(**attributes), ""))
    assert Pbs().jobs([JOB]) == {JOB: job}
    assert pbs.calls == [["qstat", "-x", "-f", "-F", "json", JOB]]


def test_of_several_jobs_those_that_are_known_are_given(pbs: FakeCommands) -> None:
    error = "qstat: Unknown Job Id 99.pbs01\n"
    pbs.will_answer("qstat", (153, answer_of(job_state="R"), error))
    assert set(Pbs().jobs(["99.pbs01", "", "1234"])) == {"1234"}
    assert Pbs().jobs([]) == {}


@pytest.mark.parametrize("answer", ["", "{", "[]", '{"Jobs": 3}', '{"Jobs": {"1234.pbs01": 1}}'])
def test_answers_that_make_no_sense_are_none(pbs: FakeCommands, answer: str) -> None:
    pbs.will_answer("qstat", (1, answer, "qstat: cannot connect to server pbs01 (errno=15010)\n"))
    assert Pbs().jobs([JOB]) == {}


def test_the_end_of_the_wall_time_follows_from_start_and_limit(
    pbs: FakeCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Pbs().end_of_own_job() is None
    monkeypatch.setenv("PBS_JOBID", JOB)
    limits = {"ncpus": 34, "walltime": "01:30:00"}
    pbs.will_answer(
        "qstat",
        (0, answer_of(job_state="R", stime="Fri Nov 11 17:57:05 2016", Resource_List=limits), ""),
        (0, answer_of(job_state="R", stime=1479277336, Resource_List=limits), ""),
        (0, answer_of(job_state="R", Resource_List=limits), ""),
        (0, answer_of(job_state="R", stime="Fri Nov 11 17:57:05 2016"), ""),
        (1, "", "down"),
    )
    begin = time.mktime((2016, 11, 11, 17, 57, 5, 0, 0, -1))
    assert Pbs().end_of_own_job() == begin + 5400
    assert Pbs().end_of_own_job() == 1479277336 + 5400
    assert [Pbs().end_of_own_job() for _ in range(3)] == [None] * 3


def test_a_job_knows_itself(pbs: FakeCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Pbs().own_job() == OwnJob()
    assert Pbs().own_step() is None
    monkeypatch.setenv("PBS_JOBID", JOB)
    monkeypatch.setenv("SPECTRO_MPI_RESTARTS", "3")
    assert Pbs().own_job() == OwnJob(JOB, 3)


def test_pbs_is_told_from_others_that_have_a_qsub(
    pbs: FakeCommands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Pbs().is_here()
    (pbs.folder / "pbs_rstat").unlink()
    monkeypatch.setenv("PBS_CONF_FILE", str(tmp_path / "pbs.conf"))
    assert not Pbs().is_here()
    (tmp_path / "pbs.conf").write_text("PBS_SERVER=pbs01\n")
    assert Pbs().is_here()
    (pbs.folder / "qsub").unlink()
    assert not Pbs().is_here()


def test_commands_have_the_forms_of_the_manual(pbs: FakeCommands) -> None:
    pbs.will_answer("qsub", (0, "1234.pbs01\n", ""), (0, "1235.pbs01\n", ""))
    scheduler = Pbs()
    assert scheduler.submit(Path("assets.pbs")) == JOB
    assert scheduler.submit(Path("run.pbs"), after=JOB) == "1235.pbs01"
    scheduler.cancel(JOB)
    scheduler.ask_to_stop(JOB)
    assert pbs.calls == [
        ["qsub", "assets.pbs"],
        ["qsub", "-W", "depend=afterok:1234.pbs01", "run.pbs"],
        ["qdel", JOB],
        ["qalter", "-r", "n", JOB],
        ["qsig", "-s", "SIGUSR1", JOB],
    ]


BUSY = "qsub: cannot connect to server pbs01 (errno=15010)\n"


def test_a_submission_that_fails_for_a_moment_is_tried_three_times(pbs: FakeCommands) -> None:
    pbs.will_answer("qsub", (1, "", BUSY), (1, "", BUSY), (0, "1234.pbs01\n", ""))
    assert Pbs().submit(Path("run.pbs")) == JOB
    assert len(pbs.calls) == 3
    pbs.will_answer("qsub", (1, "", BUSY))
    with pytest.raises(UserError, match=r"qsub refused run.pbs: qsub: cannot connect to server"):
        Pbs().submit(Path("run.pbs"))
    assert len(pbs.calls) == 6


def test_messages_of_a_site_are_no_part_of_the_id(pbs: FakeCommands) -> None:
    pbs.will_answer("qsub", (0, "project X has 12 hours left\n1234.pbs01\n", ""))
    assert Pbs().submit(Path("run.pbs")) == JOB


def test_a_submission_that_is_refused_for_good_is_not_tried_again(pbs: FakeCommands) -> None:
    pbs.will_answer("qsub", (1, "", "qsub: Unknown queue MSG=requested queue not found\n"))
    with pytest.raises(UserError, match="Unknown queue"):
        Pbs().submit(Path("run.pbs"))
    assert len(pbs.calls) == 1


def test_sbatch_is_tried_three_times_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCommands(tmp_path / "slurm", "sbatch")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(commands, "PAUSES", (0.0, 0.0))
    busy = "sbatch: error: Batch job submission failed: Unable to contact slurm controller\n"
    fake.will_answer("sbatch", (1, "", busy), (1, "", busy), (0, "77;cluster\n", ""))
    assert Slurm().submit(Path("run.sbatch"), after="76") == "77"
    call = ["--parsable", "--dependency=afterok:76", "--kill-on-invalid-dep=yes", "run.sbatch"]
    assert fake.calls_of("sbatch") == [call] * 3
    invalid = "sbatch: error: invalid partition specified: x\n"
    fake.will_answer("sbatch", (1, "", invalid))
    with pytest.raises(UserError, match="invalid partition"):
        Slurm().submit(Path("run.sbatch"))
    assert len(fake.calls) == 4


def submit(settings: Path, *arguments: str) -> Finished:
    return spectro_mpi("submit", settings, "--scheduler", "pbs", *arguments)


def test_scripts_have_the_resources_of_the_settings(settings: Path) -> None:
    with settings.open("a") as file:
        file.write(
            '[pbs]\nntasks = 10\nnodes = 4\ntime = "1-12"\npartition = "normal"\naccount = "p1"\n'
            'extra = ["-P heliophysics"]\nsetup = ["module load python"]\n'
        )
    done = submit(settings, "--dry-run")
    assert done.code == 0, done.err
    assets, _, run = done.out.partition("# run.pbs")
    logs = settings.parent / "runs" / "fast" / "jobs"
    assert [line for line in run.splitlines() if line.startswith("#PBS")] == [
        "#PBS -N spectro-mpi",
        "#PBS -j oe",
        "#PBS -r y",
        "#PBS -l select=2:ncpus=3:mpiprocs=3+2:ncpus=2:mpiprocs=2",
        "#PBS -l walltime=36:00:00",
        "#PBS -q normal",
        "#PBS -A p1",
        f"#PBS -o {logs}/spectro-mpi-pbs.log",
        "#PBS -P heliophysics",
    ]
    assert f"#PBS -o {logs}/spectro-mpi-assets-pbs.log" in assets
    for script, name in ((assets, "assets"), (run, "run")):
        assert f"\nSETTINGS={logs}/settings.toml\n" in script
        assert f"\nSCRIPT={logs}/{name}.pbs\n" in script
        assert f"\nLOGS={logs}\n" in script
        assert "\nmodule load python\nPATH=" in script


def test_without_settings_ranks_go_where_there_is_room_and_the_queue_limits_the_time(
    settings: Path,
) -> None:
    done = submit(settings, "--dry-run", "--ranks", "6")
    assert "#PBS -l select=6:ncpus=1:mpiprocs=1\n" in done.out
    assert "walltime=" not in done.out


@pytest.mark.parametrize(
    "line", ['mpi = "pmi2"', 'time = "soon"', 'partition = "a b"', 'extra = ["P x"]']
)
def test_mistakes_in_the_table_of_pbs_are_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"pbs\.{line.partition(' ')[0]}"):
        config_from_text(f"[pbs]\n{line}\n", tmp_path, "x")


def test_submit_status_and_cancel_use_it(pbs: FakeCommands, settings: Path) -> None:
    run_dir = settings.parent / "runs" / "fast"
    pbs.will_answer("qsub", (0, "1233.pbs01\n", ""), (0, "1234.pbs01\n", ""))
    done = submit(settings, "--ranks", "5")
    assert done.code == 0, done.err
    assert "submitted with 5 ranks: job 1233.pbs01 (assets), then 1234.pbs01" in done.out
    pbs.will_answer("qstat", (0, answer_of(job_state="Q"), ""))
    assert "queued" in spectro_mpi("status", run_dir).out
    # The job submitted the next one, and that is running.
    (run_dir / "jobs" / "1234.pbs01.next").write_text("1240.pbs01\n")
    assert submitted_for(run_dir).run == "1240.pbs01"
    running = answer_of(job_state="R", run_count=1).replace(JOB, "1240.pbs01")
    pbs.will_answer("qstat", (0, running, ""))
    assert "running" in spectro_mpi("status", run_dir).out
    assert spectro_mpi("cancel", run_dir).code == 0
    assert pbs.calls_of("qalter") == [["-r", "n", "1240.pbs01"]]
    assert pbs.calls_of("qsig") == [["-s", "SIGUSR1", "1240.pbs01"]]


def test_names_of_next_jobs_that_are_none_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "jobs.json").write_text(
        '{"schema_version": 2, "assets": "1", "run": "2", "scheduler": "pbs"}'
    )
    (tmp_path / "jobs" / "1.next").write_text("-x ../../evil")
    (tmp_path / "jobs" / "2.next").write_text("2")  # leads in a circle
    submitted = submitted_for(tmp_path)
    assert (submitted.assets, submitted.run) == ("1", "2")


def in_a_job(
    pbs: FakeCommands, tmp_path: Path, script: str, code: int, attributes: str
) -> subprocess.CompletedProcess[str]:
    """Run a job script as PBS does, with an `mpirun` that exits with `code`."""
    for name in ("mpirun", "spectro-mpi"):
        FakeCommands(pbs.folder, name).will_answer(name, (code, "", ""))
    pbs.will_answer("qstat", (0, attributes, ""))
    pbs.will_answer("qsub", (0, "1300.pbs01\n", ""))
    (tmp_path / "nodes").write_text("a\na\nb\n")
    environment = {
        **os.environ,
        "PBS_JOBID": JOB,
        "PBS_O_WORKDIR": str(tmp_path),
        "PBS_NODEFILE": str(tmp_path / "nodes"),
        "SETTINGS": "mine.toml",
        "SPECTRO_MPI_RESTARTS": "1",
    }
    return subprocess.run(
        ["bash", str(SCRIPTS / script)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


RERUNABLE = f"Job Id: {JOB}\n    Job_Name = spectro-mpi\n    job_state = R\n    Rerunable = True\n"


@pytest.mark.parametrize("script", ["run.pbs", "assets.pbs"])
def test_a_job_that_stopped_early_submits_the_next_one(
    pbs: FakeCommands, tmp_path: Path, script: str
) -> None:
    done = in_a_job(pbs, tmp_path, script, 75, RERUNABLE)
    log = (tmp_path / f"spectro-mpi-{JOB}.log").read_text()
    assert done.returncode == 75, log
    (call,) = pbs.calls_of("qsub")
    assert call == [
        "-W",
        f"depend=afterany:{JOB}",
        "-v",
        "SPECTRO_MPI_RESTARTS=2,SETTINGS=mine.toml",
        f"jobs/{script}",
    ]
    assert (tmp_path / f"{JOB}.next").read_text() == "1300.pbs01\n"
    assert pbs.calls_of("mpirun")[0][:2] == ["-n", "3"]
    assert pbs.calls_of("mpirun")[0][-2:] == [script.partition(".")[0], "mine.toml"]


def test_what_waits_for_the_assets_waits_for_the_next_job(
    pbs: FakeCommands, tmp_path: Path
) -> None:
    attributes = RERUNABLE + (
        "    depend = beforeok:1235.pbs01@pbs01:1236.pbs\n\t01@pbs01,beforeany:1237.pbs01@pbs01\n"
        "    Resource_List.walltime = 04:00:00\n"
    )
    done = in_a_job(pbs, tmp_path, "assets.pbs", 75, attributes)
    assert done.returncode == 75
    next_job = ["-W", "depend=afterok:1300.pbs01"]
    assert pbs.calls_of("qalter") == [[*next_job, "1235.pbs01"], [*next_job, "1236.pbs01"]]


@pytest.mark.parametrize(
    ("code", "attributes"),
    [
        (0, RERUNABLE),
        (1, RERUNABLE),
        (2, RERUNABLE),
        (3, RERUNABLE),
        (75, RERUNABLE.replace("True", "False")),  # spectro-mpi cancel
        (75, ""),
    ],
)
def test_a_job_that_is_done_or_cancelled_submits_none(
    pbs: FakeCommands, tmp_path: Path, code: int, attributes: str
) -> None:
    done = in_a_job(pbs, tmp_path, "run.pbs", code, attributes)
    assert done.returncode == code
    assert pbs.calls_of("qsub") == []


def test_a_lost_rank_is_answered_by_another_attempt(pbs: FakeCommands, tmp_path: Path) -> None:
    assert in_a_job(pbs, tmp_path, "run.pbs", 137, RERUNABLE).returncode == 137
    assert len(pbs.calls_of("mpirun")) == 3
    assert pbs.calls_of("qsub") == []


@pytest.mark.parametrize(("number", "goes_on"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_signal_stops_the_run_and_after_qdel_there_is_no_next_job(
    pbs: FakeCommands, tmp_path: Path, number: signal.Signals, goes_on: bool
) -> None:
    pbs.will_answer("qstat", (0, RERUNABLE, ""))
    pbs.will_answer("qsub", (0, "1300.pbs01\n", ""))
    # (A shell could not trap a signal that it was started with ignored.)
    (pbs.folder / "mpirun").write_text(
        f"#!{sys.executable}\nimport os, pathlib, signal\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os._exit(75))\n"
        f"pathlib.Path({str(tmp_path / 'started')!r}).touch()\n"
        "signal.alarm(60)\nsignal.pause()\n"
    )
    (pbs.folder / "mpirun").chmod(0o755)
    process = subprocess.Popen(
        ["bash", str(SCRIPTS / "run.pbs")],
        env={
            **os.environ,
            "PBS_JOBID": JOB,
            "PBS_O_WORKDIR": str(tmp_path),
            "PBS_NODEFILE": os.devnull,
        },
    )
    while not (tmp_path / "started").exists():
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(30) == 75
    assert len(pbs.calls_of("qsub")) == goes_on


def test_it_is_found_by_its_name() -> None:
    assert isinstance(named("pbs"), Pbs)
