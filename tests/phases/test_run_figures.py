"""Files and figures of the whole run that a phase gives."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import spectro_mpi
from tests.phases.test_own_phase import own

ENTRY = """
    class Own(MergingPhase):
        name = "own"
        needs = (Artifact("spectrograms"),)
        gives = (Artifact("longest", extension=".json", of="run"),)
        result_files = ("longest.txt",)
        def run(self, item, inputs, context):
            return Outputs(partial=max(len(each.time) for each in inputs["spectrograms"].values()))
        restore = lambda self, *args: self.run(*args).partial
        def empty(self):
            return 0
        def merge(self, into, other):
            return max(into, other)
        def conclude(self, whole):
            return {"records": whole}
        def files(self, whole):
            return {"longest.txt": str(whole).encode()}
        def draw(self, workspace):
            if self.settings.get("fails"):
                raise ValueError("no ink")
            import matplotlib.image
            folder = workspace.run_dir / "results" / "own"
            folder.mkdir(parents=True, exist_ok=True)
            text = {"spectro-mpi": '{"title": "a square & more"}'}
            picture = np.zeros((4, 4))
            matplotlib.image.imsave(folder / "square.png", picture, metadata=text)
            (folder / "square.pdf").write_bytes(b"%PDF")
    """


def test_files_are_written_and_figures_are_drawn_and_reported(settings: Path) -> None:
    phases = own(settings.parent, ENTRY)
    words = ("-s", "select.orbits=13312", "-s", phases)
    done = spectro_mpi("run", settings, *words, "-s", "report.at_end=true", ranks=3)
    assert done.code == 0, done.err
    run_dir = settings.parent / "runs" / "fast"
    longest = run_dir / "results" / "longest.txt"
    assert int(longest.read_text()) > 100
    page = (run_dir / "report" / "index.html").read_text()
    assert "a square &amp; more" in page
    assert 'src="../results/own/square.png"' in page
    assert '<a href="../results/own/square.pdf">PDF</a>' in page
    for damage in (longest.unlink, lambda: longest.write_text("0")):
        damage()
        checked = spectro_mpi("verify", run_dir)
        assert checked.code == 1
        assert str(longest) in checked.out
        again = spectro_mpi("run", settings, *words)
        assert again.code == 0, again.err
        assert int(longest.read_text()) > 100
    table = run_dir / "longest.json"
    before = table.read_bytes()
    table.write_text("{")
    again = spectro_mpi("run", settings, *words)
    assert again.code == 0, again.err
    assert f"{table}: is damaged; set aside as longest.json.damaged" in again.out
    assert table.read_bytes() == before
    assert spectro_mpi("verify", run_dir).code == 0
    for damage, what in ((table.unlink, "is missing"), (lambda: table.write_text("{}"), "differs")):
        damage()
        checked = spectro_mpi("verify", run_dir, "--repair")
        assert checked.code == 1
        assert f"{table}: {what}" in checked.out
        assert spectro_mpi("verify", run_dir).code == 0
        again = spectro_mpi("run", settings, *words)
        assert again.code == 0, again.err
        assert table.read_bytes() == before


def test_a_figure_of_the_run_that_cannot_be_drawn_fails_nothing(settings: Path) -> None:
    phases = own(settings.parent, ENTRY)
    words = ("-s", "select.orbits=13312", "-s", phases, "-s", "phase.own.fails=true")
    done = spectro_mpi("run", settings, *words)
    assert done.code == 0, done.err
    assert "the figures of phase own were not drawn: ValueError: no ink" in done.out
    assert not (settings.parent / "runs" / "fast" / "results" / "own").exists()
