"""`plot.formats`: PDF and SVG files beside the PNG files of a run, kept and checked as these."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import spectro_mpi

FEW = ("-s", "select.orbits=13312", "-s", "plot.kinds=['pitch-angle']")
BOTH = ("-s", "plot.formats=['png', 'pdf']")


def contents(run_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run_dir.glob("plots/*/*/13312/*"))}


def test_files_of_other_formats_lie_beside_the_png_files(settings: Path) -> None:
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("run", settings, *FEW, "--no-progress").code == 0
    alone = contents(run_dir)
    assert alone and all(name.endswith(".png") for name in alone)
    done = spectro_mpi("run", settings, *FEW, *BOTH, "--no-progress")
    assert done.code == 0 and f"{len(alone)} figures will be drawn again" in done.out
    both = contents(run_dir)
    assert both == alone | {name: both[name] for name in both if name.endswith(".pdf")}
    assert {name.removesuffix(".pdf") for name in both if name not in alone} == {
        name.removesuffix(".png") for name in alone
    }
    assert spectro_mpi("verify", run_dir).code == 0

    lost, cut = sorted(run_dir.glob("plots/*/*/13312/*.pdf"))[:2]
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:-100])
    problems = spectro_mpi("verify", run_dir, "--repair").out
    assert f"{lost.name}: is missing" in problems
    assert f"{cut.name}: is damaged (it is cut off)" in problems
    assert spectro_mpi("run", settings, *FEW, *BOTH, "--no-progress", ranks=3).code == 0
    assert contents(run_dir) == both

    assert spectro_mpi("run", settings, *FEW, "--no-progress").code == 0
    assert contents(run_dir) == alone


def test_png_files_are_always_made(settings: Path) -> None:
    refused = spectro_mpi("run", settings, "-s", "plot.formats=['pdf']")
    assert refused.code == 2
    assert 'plot.formats: lacks "png"' in refused.err
