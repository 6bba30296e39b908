"""Another scheduler is one class: `submit`, `status`, `cancel` and runs use it."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path

import pytest

from spectro_mpi.operations.submit import scheduler_of, submitted_for
from spectro_mpi.resources import read_record
from spectro_mpi.settings.loading import load_config
from spectro_mpi.system.scheduler import named
from spectro_mpi.system.scheduler.slurm import Slurm
from tests.conftest import spectro_mpi

# A queue that is a JSON file: id → [state, script, after].
QUEUE = textwrap.dedent(
    """
    import json, os
    from pathlib import Path
    from spectro_mpi.errors import UserError
    from spectro_mpi.system.scheduler.base import Job, OwnJob

    FILE = Path(os.environ["QUEUE_FILE"])


    class Queue:
        name = "queue"
        assets_template = "assets.sbatch"
        run_template = "run.sbatch"
        report_template = "report.sbatch"
        submit_command = "enqueue"
        launch_hint = ""
        log_patterns = {"wall-time": "the queue ran out of time"}

        def is_here(self):
            return True

        def own_job(self):
            return OwnJob(os.environ.get("QUEUE_ID", ""), 2, "here")

        def own_step(self):
            return None

        def end_of_own_job(self):
            return None

        def jobs(self, ids):
            table = json.loads(FILE.read_text())
            return {
                name: Job(state, state == "waiting", state == "busy", 3,
                          "wall-time" if state == "late" else None)
                for name, (state, *_) in table.items() if name in ids
            }

        def submit(self, script, after="", even_if_failed=False):
            if "refused" in str(script):
                raise UserError("the queue is closed")
            table = json.loads(FILE.read_text())
            name = str(len(table) + 1)
            table[name] = ["waiting", str(script), after, even_if_failed]
            FILE.write_text(json.dumps(table))
            return name

        def cancel(self, job):
            self._set(job, "cancelled")

        def ask_to_stop(self, job):
            self._set(job, "asked")

        def keep_from_requeue(self, job):
            self._set(job, "kept")

        def script(self, script):
            return f"for {script.ranks} ranks: {script.settings}"

        def _set(self, job, state):
            table = json.loads(FILE.read_text())
            table[job][0] = state
            FILE.write_text(json.dumps(table))
    """
)


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    """The file of the queue."""
    path = tmp_path / "queue.json"
    path.write_text("{}")
    return path


@pytest.fixture
def installed(tmp_path: Path, queue: Path) -> dict[str, str]:
    """The environment in which the scheduler is installed."""
    site = tmp_path / "site"
    metadata = site / "queue_scheduler-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: queue-scheduler\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[spectro_mpi.schedulers]\nqueue = queue_scheduler:Queue\n"
    )
    (site / "queue_scheduler.py").write_text(QUEUE)
    path = filter(None, [str(site), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": os.pathsep.join(path), "QUEUE_FILE": str(queue)}


def test_submit_status_and_cancel_use_it(
    settings: Path, queue: Path, installed: dict[str, str]
) -> None:
    run_dir = settings.parent / "runs" / "fast"
    done = spectro_mpi("submit", settings, "--ranks", "5", "--scheduler", "queue", env=installed)
    assert done.code == 0, done.err
    assert "submitted with 5 ranks: job 1 (assets), then 2" in done.out
    jobs = json.loads(queue.read_text())
    assert [after for _, _, after, _ in jobs.values()] == ["", "1"]
    script = Path(jobs["2"][1])
    assert script.read_text() == f"for 5 ranks: {run_dir / 'jobs' / 'settings.toml'}"

    assert "queued" in spectro_mpi("status", run_dir, env=installed).out
    queue.write_text(json.dumps({"1": ["done", "", ""], "2": ["busy", "", ""]}))
    status = spectro_mpi("status", run_dir, env=installed).out
    assert "running" in status
    assert "job 2 is busy, requeued 3 times" in status

    assert spectro_mpi("cancel", run_dir, env=installed).code == 0
    assert json.loads(queue.read_text())["2"][0] == "asked"
    queue.write_text(json.dumps({"1": ["waiting", "", ""], "2": ["busy", "", ""]}))
    assert spectro_mpi("cancel", run_dir, "--now", env=installed).code == 0
    assert {state for state, *_ in json.loads(queue.read_text()).values()} == {"cancelled"}


def test_a_job_of_one_task_makes_the_report_of_a_run_on_many_ranks(
    settings: Path, queue: Path, installed: dict[str, str]
) -> None:
    run_dir = settings.parent / "runs" / "fast"
    reported = ("-s", "report.at_end=true", "--scheduler", "queue")
    few = ("submit", settings, "--ranks", "64", *reported, "--dry-run")
    assert "report.sbatch" not in spectro_mpi(*few, env=installed).out
    done = spectro_mpi("submit", settings, "--ranks", "65", *reported, env=installed)
    assert done.code == 0, done.err
    assert "job 1 (assets), then 2, then 3 (report)" in done.out
    _, script, after, even_if_failed = json.loads(queue.read_text())["3"]
    assert (after, even_if_failed) == ("2", True)
    assert Path(script).read_text() == f"for 1 ranks: {run_dir / 'jobs' / 'settings.toml'}"
    assert not load_config(run_dir / "jobs" / "settings.toml").report.at_end

    # The report is not part of the run's state; a cancelled run has none.
    queue.write_text(json.dumps({"1": ["done"], "2": ["done"], "3": ["waiting"]}))
    assert "stopped" in spectro_mpi("status", run_dir, env=installed).out
    assert "job 3 (waiting) is cancelled" in spectro_mpi("cancel", run_dir, env=installed).out


def test_a_scheduler_without_a_script_for_the_report_leaves_it_to_the_run(
    settings: Path, queue: Path, installed: dict[str, str], tmp_path: Path
) -> None:
    module = tmp_path / "site" / "queue_scheduler.py"
    module.write_text(module.read_text().replace('    report_template = "report.sbatch"\n', ""))
    submit = ("submit", settings, "--ranks", "65", "-s", "report.at_end=true")
    done = spectro_mpi(*submit, "--scheduler", "queue", env=installed)
    assert done.code == 0, done.err
    assert len(json.loads(queue.read_text())) == 2
    run_dir = settings.parent / "runs" / "fast"
    assert load_config(run_dir / "jobs" / "settings.toml").report.at_end


def test_the_verdict_of_the_scheduler_is_the_likely_cause(
    settings: Path, queue: Path, installed: dict[str, str]
) -> None:
    run_dir = settings.parent / "runs" / "fast"
    spectro_mpi("submit", settings, "--ranks", "5", "--scheduler", "queue", env=installed)
    few = ("-s", "select.orbits=13312", "--no-progress", "--only", "reduce")
    inside = {**installed, "SPECTRO_MPI_SCHEDULER": "queue", "QUEUE_ID": "2"}
    assert spectro_mpi("run", settings, *few, env=inside).code == 0
    (run_dir / "run.lock").write_text(
        json.dumps({"host": "gone", "pid": 1, "started": "never 1", "job": "2"})
    )
    os.utime(run_dir / "run.lock", (1e9, 1e9))
    queue.write_text(json.dumps({"1": ["done", "", ""], "2": ["late", "", ""]}))
    status = json.loads(spectro_mpi("status", run_dir, "--json", env=installed).out)
    assert status["state"] == "dead"
    assert status["diagnosis"]["cause"] == "wall-time"
    assert "job 2 is late" in status["diagnosis"]["evidence"]


def test_a_run_in_its_job_says_so(settings: Path, queue: Path, installed: dict[str, str]) -> None:
    inside = {**installed, "SPECTRO_MPI_SCHEDULER": "queue", "QUEUE_ID": "77"}
    few = ("-s", "select.orbits=13312", "--no-progress", "--only", "reduce")
    assert spectro_mpi("run", settings, *few, env=inside).code == 0
    record = read_record(settings.parent / "runs" / "fast")
    assert record is not None
    assert record.ranks.job.tolist() == ["77"]


def test_a_run_can_be_read_where_its_scheduler_is_not_installed(
    settings: Path, installed: dict[str, str]
) -> None:
    run_dir = settings.parent / "runs" / "fast"
    spectro_mpi("submit", settings, "--ranks", "5", "--scheduler", "queue", env=installed)
    few = ("-s", "select.orbits=13312", "--no-progress", "--only", "reduce")
    assert spectro_mpi("run", settings, *few).code == 0
    unknown = "jobs 1, 2: unknown scheduler queue; choose one of: slurm, pbs"
    done = spectro_mpi("status", run_dir)
    assert done.code == 0
    assert unknown in done.out
    assert spectro_mpi("report", run_dir).code == 0
    assert unknown in spectro_mpi("cancel", run_dir).out
    done = spectro_mpi("submit", settings, "--scheduler", "queue")
    sentence = "spectro-mpi: unknown scheduler queue; choose one of: slurm, pbs\n"
    assert (done.code, done.err) == (2, sentence)


def test_the_variable_that_names_an_unknown_scheduler_is_named(settings: Path) -> None:
    done = spectro_mpi("run", settings, env={"SPECTRO_MPI_SCHEDULER": "nonsense"})
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "SPECTRO_MPI_SCHEDULER: unknown scheduler nonsense" in done.err


def test_templates_of_an_installed_scheduler_lie_beside_its_module(
    settings: Path, installed: dict[str, str], tmp_path: Path
) -> None:
    module = tmp_path / "site" / "queue_scheduler.py"
    module.write_text(
        module.read_text()
        .replace('"assets.sbatch"', '"assets.queue"')
        .replace('"run.sbatch"', '"run.queue"')
        .replace('return f"for', 'return f"{script.template} for')
    )
    submit = ("submit", settings, "--ranks", "5", "--scheduler", "queue", "--dry-run")
    done = spectro_mpi(*submit, env=installed)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "assets.queue" in done.err
    for name in ("assets", "run"):
        (tmp_path / "site" / f"{name}.queue").write_text(f"template of {name}")
    done = spectro_mpi(*submit, env=installed)
    assert done.code == 0, done.err
    assert "template of run for 5 ranks" in done.out


def test_what_0_1_submitted_is_slurms(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "jobs.json").write_text(
        '{"pregenerate": "7", "run": "8", "local": 0, "host": "", "began": ""}'
    )
    submitted = submitted_for(tmp_path)
    assert (submitted.assets, submitted.run, submitted.scheduler) == ("7", "8", "slurm")
    assert scheduler_of(submitted) is named("slurm")
    assert isinstance(named("slurm"), Slurm)
