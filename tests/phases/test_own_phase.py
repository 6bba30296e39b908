"""Own phases: from settings or a script, isolated, resumed, the same for any number of ranks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.rundir.layout import data_path
from tests.conftest import BIN, NO_REPORT, Finished, spectro_mpi, spectro_mpi_here
from tests.outputs import pictures, same_output

EXAMPLES = Path(__file__).parents[2] / "examples"
DENSITY = f'phases=["reduce", "{EXAMPLES}/density.py:Density", "plot"]'
FLUX = ("-s", "data.quantity=eflux", "-s", DENSITY)


def own(folder: Path, code: str) -> str:
    """A module of the user's beside the settings; the entry for its class Own."""
    (folder / "own.py").write_text(
        "from spectro_mpi import Artifact, MergingPhase, Outputs, Phase\n"
        "import numpy as np, os, sys, time\n" + textwrap.dedent(code)
    )
    return 'phases=["reduce", "own.py:Own", "plot"]'


def densities(run_dir: Path, one: Path | None = None) -> dict[str, bytes]:
    """Item and instrument → the bytes of its density and times; `one`: the file of `compact`."""
    found = {}
    with h5py.File(one or run_dir / "data" / "density.h5", "r") as file:
        for item in file:
            for instrument, group in file[f"{item}/density" if one else item].items():
                found[f"{item}/{instrument}"] = group["density"][:].tobytes()
                found[f"{item}/{instrument}/time"] = group["time"][:].tobytes()
    return found


@pytest.fixture(scope="module")
def runs(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The example phase on 1, 2 and 4 ranks: ranks → run directory."""
    folder = tmp_path_factory.mktemp("own")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(f'input = "{demo.directory / "FAST_data"}"\n[plot]\ndpi = 50\n{NO_REPORT}')
    for ranks in (1, 2, 4):
        done = spectro_mpi("run", settings, *FLUX, "-s", f"run_id=n{ranks}", ranks=ranks)
        assert done.code == 3, done.err
    return {ranks: folder / "runs" / f"n{ranks}" for ranks in (1, 2, 4)}


def test_the_example_phase_gives_the_same_for_any_number_of_ranks(runs: dict[int, Path]) -> None:
    whole = densities(runs[1])
    assert len(whole) > 20
    for ranks in (2, 4):
        assert densities(runs[ranks]) == whole
        same_output(runs[1], runs[ranks])
    progress = json.loads((runs[4] / "progress.json").read_text())
    assert list(progress["completed"]) == ["reduce", "density", "plot"]
    assert progress["completed"]["density"] == progress["completed"]["reduce"]


def test_its_values_are_the_integral_of_the_flux(runs: dict[int, Path]) -> None:
    run = open_run(runs[1])
    one = run.spectrogram("13312", "ees")
    values = run.dataset("density", "13312", "ees")
    assert (values.units, values.dims) == ("cm-3", ("time",))
    np.testing.assert_array_equal(values.coordinates["time"], one.time)
    record = 100
    energy = one.energy[one.mode[record]].astype(float)
    flux = one.values[one.category.index("all"), record].astype(float)
    good = np.isfinite(energy) & np.isfinite(flux)
    speed = 2.99792458e10 * np.sqrt(2 * energy[good] / 510_998.95)
    area = np.trapezoid(flux[good] / speed, np.log(energy[good]))
    assert values.values[record] == pytest.approx(4 * np.pi * abs(area), rel=1e-6)
    assert 1e-3 < np.nanmedian(values.values) < 1e3


def test_xarray_opens_what_it_gave(runs: dict[int, Path]) -> None:
    path = data_path(runs[1], open_run(runs[1]).progress.stores["density"]["13312"])
    with xarray.open_dataset(path, group="ees") as data:
        assert data["density"].dims == ("time",)
        assert data["density"].attrs["units"] == "cm-3"
        assert np.issubdtype(data["time"].dtype, np.datetime64)


def test_one_file_of_a_run_has_what_it_gave(runs: dict[int, Path], tmp_path: Path) -> None:
    one = tmp_path / "one.h5"
    done = spectro_mpi_here("compact", runs[1], "-o", one)
    assert done.code == 0, done.err
    assert densities(runs[1], one) == densities(runs[1])
    whole = open_run(runs[1]).spectrogram("13312", "ees")
    with xarray.open_dataset(one, group="13312/ees") as data:
        np.testing.assert_array_equal(data["eflux"].values, whole.values)
    with xarray.open_dataset(one, group="13312/density/ees") as data:
        assert data["density"].attrs["units"] == "cm-3"
        assert np.issubdtype(data["time"].dtype, np.datetime64)


def test_the_documented_phase_works_as_documented(settings: Path) -> None:
    page = (EXAMPLES.parent / "docs" / "own-phase.md").read_text()
    (code, *_), (entry, *_) = (
        re.findall(rf"^```{kind}\n(.*?)^```", page, re.M | re.S) for kind in ("python", "toml")
    )
    (settings.parent / "totals.py").write_text(code)
    settings.write_text(entry + settings.read_text())
    assert spectro_mpi("run", settings, "-s", "select.orbits=13312", ranks=3).code == 0
    run = open_run(settings.parent / "runs" / "fast")
    total = run.dataset("total", "13312", "ees")
    whole = run.spectrogram("13312", "ees").values[0]
    np.testing.assert_array_equal(total.values, np.nansum(whole, axis=1))
    np.testing.assert_array_equal(run.xarray("13312", "ees")["total"].values, total.values)


def test_status_verify_and_plan_know_it(runs: dict[int, Path]) -> None:
    told = spectro_mpi("status", runs[1])
    assert "density  10 of 12 items done, 2 not possible (an earlier phase failed)" in told.out
    assert "finished" in told.out
    assert spectro_mpi("verify", runs[1]).code == 0
    settings = runs[1].parents[1] / "spectro-mpi.toml"
    planned = spectro_mpi("plan", settings, *FLUX)
    assert "reduce → density → plot; only reduce and plot are simulated" in planned.out


def test_verify_finds_damaged_data_of_it_and_the_next_run_makes_it_again(
    runs: dict[int, Path],
) -> None:
    run_dir = runs[1].with_name("damaged")
    shutil.copytree(runs[1], run_dir)
    path = data_path(run_dir, open_run(run_dir).progress.stores["density"]["13312"])
    os.truncate(path, path.stat().st_size // 2)
    assert str(path) in spectro_mpi("verify", run_dir).out
    settings = run_dir.parents[1] / "spectro-mpi.toml"
    assert spectro_mpi("run", settings, *FLUX, "-s", "run_id=damaged", ranks=3).code == 3
    assert densities(run_dir) == densities(runs[1])
    assert spectro_mpi("verify", run_dir).code == 0


def test_a_killed_run_goes_on_with_it_where_it_was(runs: dict[int, Path]) -> None:
    folder = runs[1].parents[1]
    (folder / "held.py").write_text(
        f"import os, sys, time; sys.path.insert(0, {str(EXAMPLES)!r})\n"
        "from density import Density\n"
        "class Held(Density):\n"
        "    def run(self, item, inputs, context):\n"
        f"        while item.id == '13320' and not os.path.exists({str(folder / 'go')!r}):\n"
        "            time.sleep(0.01)\n"
        "        return super().run(item, inputs, context)\n"
    )
    words = [
        *("-s", "data.quantity=eflux", "-s", 'phases=["reduce", "held.py:Held", "plot"]'),
        *("-s", "run_id=killed", "-s", "run.flush_batch_size=1"),
    ]
    settings, run_dir = folder / "spectro-mpi.toml", folder / "runs" / "killed"
    command = [str(BIN / "mpirun"), "-n", "3", str(BIN / "spectro-mpi"), "run", str(settings)]
    process = subprocess.Popen([*command, *words], start_new_session=True)
    journal = run_dir / "progress.journal"
    while not (journal.exists() and '"phase": "density"' in journal.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = open_run(run_dir)
    assert "13320" not in left.completed("density")
    before = {item: shard for item, shard in left.progress.stores["density"].items()}
    assert before
    (folder / "go").touch()
    assert spectro_mpi("run", settings, *words, ranks=4).code == 3
    assert densities(run_dir) == densities(runs[1])
    same_output(runs[1], run_dir)
    after = open_run(run_dir).progress.stores["density"]
    assert before.items() <= after.items()  # what was complete was not done again


def test_only_the_phase_named_runs_and_finds_what_the_others_gave(runs: dict[int, Path]) -> None:
    settings = runs[1].parents[1] / "spectro-mpi.toml"
    only = ("-s", "run_id=only")
    nothing = spectro_mpi("run", settings, *FLUX, *only, "--only", "density", ranks=3)
    assert nothing.code == 2
    assert 'phase density needs "spectrograms"' in nothing.err
    assert "of phase reduce" in nothing.err
    flux = ("-s", "data.quantity=eflux")
    assert spectro_mpi("run", settings, *flux, *only, "--only", "reduce", ranks=3).code == 3
    assert spectro_mpi("run", settings, *FLUX, *only, "--only", "density", ranks=3).code == 3
    run_dir = runs[1].with_name("only")
    assert densities(run_dir) == densities(runs[1])
    assert not (run_dir / "plots").exists()


@pytest.mark.slow
def test_a_phase_whose_code_has_changed_is_done_again_alone_when_asked(
    settings: Path,
) -> None:
    code = """
        class Own(Phase):
            name = "own"
            needs = (Artifact("spectrograms"),)
            gives = (Artifact("notes", extension=".txt"),)

            def run(self, item, inputs, context):
                context.write("note.txt", b"WORD")
                return Outputs()
        """
    few = ("-s", "select.orbits=13312-13313")
    run_dir = settings.parent / "runs" / "fast"

    def notes() -> set[str]:
        return {path.read_text() for path in (run_dir / "files" / "own").rglob("*.txt")}

    entry = own(settings.parent, code.replace("WORD", "old"))
    assert run_own(settings, entry, *few, ranks=3).code == 0
    own(settings.parent, code.replace("WORD", "new"))
    assert run_own(settings, entry, *few, ranks=3).code == 0
    assert notes() == {"old"}
    before = {path: path.stat().st_mtime_ns for path in (run_dir / "plots").rglob("*.png")}
    assert run_own(settings, entry, *few, "--redo", "own", ranks=3).code == 0
    assert notes() == {"new"}
    after = {path: path.stat().st_mtime_ns for path in (run_dir / "plots").rglob("*.png")}
    assert after == before
    assert "there is no phase owl" in run_own(settings, entry, "--redo", "owl").err


def test_a_script_under_mpirun_gives_the_same(runs: dict[int, Path]) -> None:
    settings = runs[1].parents[1] / "script.toml"
    text = (runs[1].parents[1] / "spectro-mpi.toml").read_text()
    settings.write_text(f'run_id = "script"\n{text}')
    script = [str(BIN / "mpirun"), "-n", "3", sys.executable, str(EXAMPLES / "pipeline.py")]
    done = subprocess.run([*script, str(settings)], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert densities(runs[1].with_name("script")) == densities(runs[1])
    same_output(runs[1], runs[1].with_name("script"))


def test_a_script_without_a_guard_is_told_about_it(settings: Path, tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from spectro_mpi import Pipeline, start_pipeline\n"
        f"start_pipeline(Pipeline(None, {str(settings)!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert 'put the call under if __name__ == "__main__":' in done.stderr


def run_own(settings: Path, entry: str, *words: str, ranks: int = 0) -> Finished:
    return spectro_mpi("run", settings, "-s", entry, *words, ranks=ranks)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (DENSITY, ['"density" needs "spectrograms" (dataset eflux)', '"reduce" gives', "counts"]),
        ('phases=["plot", "reduce"]', ['"plot" needs "spectrograms"', '"reduce" gives only later']),
        ('phases=["plot"]', ['"plot" needs "extrema"', "no earlier phase gives (given: nothing)"]),
        ('phases=["reduce", "none_such:Own"]', ["there is no module none_such"]),
        ('phases=["reduce", "none_such.py:Own"]', ["none_such.py does not exist"]),
        ('phases=["reduce", "smooth"]', ['there is no phase "smooth"; choose from reduce, plot']),
        (
            'phases=["reduce", "json:JSONDecoder"]',
            ["JSONDecoder is not derived from spectro_mpi.Phase"],
        ),
        ('phases=["reduce", "json:Nothing"]', ["json has no Nothing"]),
        ("phases=[]", ["phases"]),
        ('phases=["reduce", "reduce"]', ["lists the same entry twice"]),
    ],
)
@pytest.mark.parametrize("ranks", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_phases_that_do_not_fit_are_refused_before_anything_runs(
    settings: Path, entry: str, told: list[str], ranks: int
) -> None:
    done = run_own(settings, entry, ranks=ranks)
    assert done.code == 2
    for words in told:
        assert words in done.err
    assert "Traceback" not in done.err
    assert not (settings.parent / "runs").exists()


def test_all_that_does_not_fit_is_told_at_once(settings: Path) -> None:
    entry = own(
        settings.parent,
        """
        class Own(Phase):
            name = "own"
            needs = (Artifact("spectrograms", dims=("time",)), Artifact("fit"))
            gives = (Artifact("figures", extension=".png"), Artifact("vague"))
        """,
    )
    done = run_own(settings, entry, "-s", "phase.smoth.width=3")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 5
    for words in (
        "of (time)",
        '"fit"',
        '"figures", which phase "own" already gives',
        '"vague"',
        "smoth",
    ):
        assert words in done.err


@pytest.mark.slow
def test_failures_hangs_and_crashes_of_an_own_phase_are_recorded_by_reason(settings: Path) -> None:
    entry = own(
        settings.parent,
        """
        class Own(Phase):
            name = "own"
            needs = (Artifact("spectrograms"),)
            gives = (Artifact("sums", dataset="sum", dims=("category",)),)

            def run(self, item, inputs, context):
                fault = self.settings["faults"].get(item.id)
                outputs = Outputs()
                for name, one in inputs["spectrograms"].items():
                    context.status(name)
                    if fault == "hangs":
                        time.sleep(1000)
                    if fault == "dies":
                        os._exit(7)
                    with context.boundary(name):
                        if fault == "divides":
                            1 / 0
                        outputs.put(self.gives[0], np.nansum(one.values, (1, 2)), name)
                if fault == "wrong":
                    outputs.put(self.gives[0], np.zeros((2, 2)), name)
                if fault == "unstorable":
                    outputs.put(self.gives[0], np.array([object()]), name)
                return outputs
        """,
    )
    faults = (
        '{13312 = "hangs", 13313 = "dies", 13315 = "divides", 13317 = "wrong", '
        '13319 = "unstorable"}'
    )
    words = ("-s", f"phase.own.faults={faults}", "-s", "run.instrument_timeout_seconds=2")
    done = run_own(settings, entry, *words, "-s", "run.retry_timeouts=false", ranks=3)
    assert done.code == 3, done.err
    run = open_run(settings.parent / "runs" / "fast")
    found = {
        item: {one.reason for one in errors if one.phase == "own"}
        for item, errors in run.errors.items()
    }
    assert found["13312"] == {"timeout"}
    assert found["13313"] == {"killed"}
    assert found["13315"] == {"divide-by-zero"}
    assert found["13317"] == {"generic"}
    assert found["13319"] == {"generic"}
    # What does not need it is drawn all the same.
    assert len(pictures(run.path)) > 0
    assert {"13312", "13313"} <= run.progress.settled["plot"]


@pytest.mark.slow
def test_files_settings_random_numbers_and_assets_of_an_own_phase(settings: Path) -> None:
    entry = own(
        settings.parent,
        """
        class Own(Phase):
            name = "own"
            needs = (Artifact("spectrograms"),)
            gives = (Artifact("notes", extension=".txt"),)

            def create_assets(self, workspace):
                workspace.save("weights", np.arange(len(workspace.items)))

            def begin(self, workspace):
                self.begun = os.getpid()

            def run(self, item, inputs, context):
                weights = context.asset("weights")
                assert isinstance(weights, np.memmap) and not weights.flags.writeable
                for _ in range(3):
                    context.status("counting", 1, 3)
                words = f"{self.settings['word']} {len(weights)} {context.rng.integers(1 << 60)}"
                context.write(f"{item.id}.txt", words.encode())
                return Outputs()

        class Reader(Phase):
            name = "reader"
            needs = (Artifact("notes", extension=".txt"),)
            gives = (Artifact("lengths", dataset="length", dims=()),)

            def run(self, item, inputs, context):
                outputs = Outputs()
                (path,) = inputs["notes"]
                outputs.put(self.gives[0], np.array(len(path.read_text())), "notes")
                return outputs
        """,
    ).replace('"plot"', '"own.py:Reader"')

    def notes(run_id: str, ranks: int, *words: str) -> dict[str, str]:
        given = ("-s", f"run_id={run_id}", "-s", 'phase.own.word="hello"', *words)
        done = run_own(settings, entry, *given, ranks=ranks)
        assert done.code == 3, done.err
        root = settings.parent / "runs" / run_id / "files" / "own"
        return {path.name: path.read_text() for path in root.rglob("*.txt")}

    one, four = notes("one", 1), notes("four", 4)
    assert one == four
    assert len(set(one.values())) == 10
    assert all(text.startswith("hello 12 ") for text in one.values())
    other = notes("other", 3, "-s", "seed=1")
    assert not set(other.values()) & set(one.values())
    lengths = open_run(settings.parent / "runs" / "one").dataset("length", "13312", "notes")
    assert int(lengths.values) == len(one["13312.txt"])
    assert spectro_mpi("verify", settings.parent / "runs" / "one").code == 0


def test_files_made_elsewhere_are_found_of_a_phase_that_is_not_active(settings: Path) -> None:
    entry = own(
        settings.parent,
        """
        class Own(Phase):
            name = "fit"
            gives = (Artifact("fits", extension=".txt"),)

        class Reader(Phase):
            name = "reader"
            needs = (Artifact("fits", extension=".txt"),)
            gives = (Artifact("lengths", dataset="length", dims=()),)

            def run(self, item, inputs, context):
                outputs = Outputs()
                (path,) = inputs["fits"]
                outputs.put(self.gives[0], np.array(len(path.read_text())), "fit")
                return outputs
        """,
    ).replace('"reduce", "own.py:Own", "plot"', '"own.py:Own", "own.py:Reader"')
    run_dir = settings.parent / "runs" / "fast"
    missing = run_own(settings, entry, "--only", "reader")
    assert missing.code == 2
    assert 'needs "fits" (files .txt) of phase fit' in missing.err
    folder = run_dir / "files" / "fit" / "2000" / "01" / "13312"
    folder.mkdir(parents=True)
    (folder / "fit.txt").write_text("hello")
    assert run_own(settings, entry, "--only", "reader", ranks=3).code == 0
    run = open_run(run_dir)
    assert int(run.dataset("length", "13312", "fit").values) == 5
    assert run.completed("reader") == ["13312"]


def test_an_installed_package_offers_a_phase_by_an_entry_point(
    settings: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    metadata = site / "own_phases-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-phases\nVersion: 1.0\n")
    entry = "[spectro_mpi.phases]\ndensity = own_phases:Density\n"
    (metadata / "entry_points.txt").write_text(entry)
    shutil.copy(EXAMPLES / "density.py", site / "own_phases.py")
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    words = ("-s", "data.quantity=eflux", "-s", 'phases=["reduce", "density"]')
    few = ("-s", "select.orbits=13312")
    done = spectro_mpi("run", settings, *words, *few, ranks=3, env={"PYTHONPATH": path})
    assert done.code == 0, done.err
    assert "density: 1 of 1 item done" in done.out


@pytest.mark.slow
def test_an_artifact_of_the_whole_run_is_merged_and_outlives_a_resume(settings: Path) -> None:
    entry = own(
        settings.parent,
        """
        class Own(MergingPhase):
            name = "own"
            needs = (Artifact("spectrograms"),)
            gives = (Artifact("records", of="run"),)

            def count(self, inputs):
                return {name: len(one.time) for name, one in inputs["spectrograms"].items()}

            def run(self, item, inputs, context):
                return Outputs(partial=self.count(inputs))

            def restore(self, item, inputs, context):
                return self.count(inputs)

            def empty(self):
                return {}

            def merge(self, into, other):
                return {name: into.get(name, 0) + other.get(name, 0) for name in into | other}

            def conclude(self, whole):
                return dict(sorted(whole.items()))

        class Last(Phase):
            name = "last"
            needs = (Artifact("records", of="run"), Artifact("spectrograms"))
            gives = (Artifact("shares", extension=".txt"),)

            def run(self, item, inputs, context):
                context.write("share.txt", str(sum(inputs["records"].values())).encode())
                return Outputs()
        """,
    ).replace('"plot"', '"own.py:Last"')
    run_dir = settings.parent / "runs" / "fast"
    few = ("-s", "select.orbits=13312-13313")
    assert run_own(settings, entry, *few, ranks=2).code == 0
    first = json.loads((run_dir / "records.json").read_text())
    assert run_own(settings, entry, ranks=4).code == 3
    whole = json.loads((run_dir / "records.json").read_text())
    assert whole["ees"] > first["ees"]
    run = open_run(run_dir)
    counted = sum(
        len(run.spectrogram(item, "ees").time)
        for item in run.items
        if "ees" in run.instruments(item)
    )
    assert whole["ees"] == counted
    # What was made with the artifact of fewer items is made again.
    told = {path.read_text() for path in (run_dir / "files" / "last").rglob("*.txt")}
    assert told == {str(sum(whole.values()))}


def test_an_error_of_a_step_called_store_is_the_items_and_nothing_is_done_again(
    settings: Path,
) -> None:
    entry = own(
        settings.parent,
        """
        class Own(Phase):
            name = "own"
            needs = (Artifact("spectrograms"),)
            def run(self, item, inputs, context):
                inputs["spectrograms"]
                context.status("store")
                with open("calls", "a") as file:
                    file.write(item.id + "\\n")
                raise ValueError("the database of the user is not there")
        """,
    )
    done = spectro_mpi(
        *("run", settings, "-s", entry, "-s", "select.orbits=13312-13313"), cwd=settings.parent
    )
    assert done.code == 3
    assert sorted((settings.parent / "calls").read_text().split()) == ["13312", "13313"]
    run = open_run(settings.parent / "runs" / "fast")
    assert {failure.instrument for failures in run.errors.values() for failure in failures} == {
        "store"
    }
    assert "reduced again" not in done.out + done.err


def test_a_merging_phase_without_an_artifact_of_the_run_is_refused(settings: Path) -> None:
    entry = own(
        settings.parent,
        """
        class Own(MergingPhase):
            name = "own"
            needs = (Artifact("spectrograms"),)
        """,
    )
    done = spectro_mpi("run", settings, "-s", entry, cwd=settings.parent)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert 'add one with of="run" to gives' in done.err
