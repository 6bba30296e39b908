"""A finished run takes up what has changed in its input since, and does no more than that."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import h5py
import pytest

from spectro_mpi.demo import DemoSummary, write_demo
from spectro_mpi.rundir.store import stamp_of_file
from tests.conftest import NO_REPORT, spectro_mpi, spectro_mpi_here
from tests.outputs import pictures, same_output


@pytest.fixture(scope="module")
def whole(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, with its input of two orbits. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "FAST_data").mkdir()
    for path in sorted((demo.directory / "FAST_data").rglob("fa_esa_l2_*_1331[23]_v*.cdf")):
        shutil.copy(path, folder / "FAST_data")
    (folder / "events.csv").write_text("orbit,instrument,start,end\n")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(f'[plot]\ndpi = 50\nevents = "events.csv"\n{NO_REPORT}')
    assert spectro_mpi("run", settings).code == 0
    return folder


@pytest.fixture
def finished(whole: Path, tmp_path: Path) -> Path:
    """Settings of a copy of the finished run and its input."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    frozen = tmp_path / "runs" / "fast" / "config.toml"
    frozen.write_text(frozen.read_text().replace(str(whole), str(tmp_path)))
    return tmp_path / "spectro-mpi.toml"


def as_if_new(settings: Path) -> None:
    """The run directory is as one made at once from the input as it is now."""
    assert spectro_mpi("run", settings, "-s", "run_id=new").code == 0
    same_output(settings.parent / "runs" / "fast", settings.parent / "runs" / "new")


def named_for(run_dir: Path, word: str) -> set[str]:
    """The figures named for a word of labels; there are others of the same item or none."""
    names = {name for name in pictures(run_dir) if f"_{word}_" in name}
    assert all("13313" in name for name in names)
    return names


@pytest.mark.slow
def test_marked_events_are_drawn_renamed_and_taken_away_again(finished: Path) -> None:
    events = finished.with_name("events.csv")
    run_dir = finished.parent / "runs" / "fast"
    before = pictures(run_dir)
    events.write_text("orbit,instrument,start,end,label\n13313,ees,2,5,\n")
    done = spectro_mpi("run", finished, ranks=3)
    assert "10 figures will be drawn again from the store; nothing is read from CDF" in done.out
    marked = named_for(run_dir, "event")
    assert marked
    assert len(pictures(run_dir)) == len(before)
    as_if_new(finished)
    done = spectro_mpi("run", finished, "-s", "plot.event_label=crossing")
    assert "10 figures will be drawn again" in done.out
    assert len(named_for(run_dir, "crossing")) == len(marked)
    assert not named_for(run_dir, "event")
    events.write_text("orbit,instrument,start,end,label\n13313,ees,2,5,Inverted V\n")
    assert "10 figures will be drawn again" in spectro_mpi("run", finished).out
    renamed = {name.replace("_event_", "_inverted-v_") for name in marked}
    assert named_for(run_dir, "inverted-v") == renamed
    assert len(pictures(run_dir)) == len(before)
    assert spectro_mpi("verify", run_dir).code == 0
    as_if_new(finished)
    events.write_text("orbit,instrument,start,end\n")
    assert "drawn again" in spectro_mpi("run", finished).out
    assert pictures(run_dir) == before
    assert "drawn again" not in spectro_mpi("run", finished).out


@pytest.mark.slow
def test_only_figures_that_show_an_event_are_named_for_it(finished: Path) -> None:
    events = finished.with_name("events.csv")
    run_dir = finished.parent / "runs" / "fast"
    before = pictures(run_dir)
    events.write_text(
        "orbit,instrument,start,end,label\n"
        "13312,ees,1999-01-01T00:00:00,1999-01-01T00:01:00,cusp\n"  # a year before the data
        "13312,eeb,2,5,cusp\n"  # not selected
        "13313,ies,2,5,shock\n"
        "13313,ies,1,20,cusp\n"
        "13313,ees,100000,100001,cusp\n"  # beyond the records
    )
    assert (
        spectro_mpi("run", finished, "-s", 'select.instruments=["ees","ies"]', "--fresh").code == 0
    )
    alone = {name for name in pictures(run_dir) if "13312_" in name}
    assert alone == {name for name in before if "13312_" in name and "_eeb_" not in name}
    ees, ies = (
        {name for name in pictures(run_dir) if f"13313_{words}_ESA_{instrument}_" in name}
        for words, instrument in (("pitch-angle", "ees"), ("cusp-shock_pitch-angle", "ies"))
    )
    assert len(ees) == len(ies) > 0


@pytest.mark.slow
def test_figures_are_known_by_their_names_on_disk(finished: Path) -> None:
    events = finished.with_name("events.csv")
    run_dir = finished.parent / "runs" / "fast"
    table = "orbit,instrument,start,end,label\n13313,ees,2,5,Inverted V\n"
    events.write_text(table)
    assert spectro_mpi("run", finished).code == 0
    whole = pictures(run_dir)
    events.unlink()  # neither checks nor the report need it
    assert spectro_mpi_here("verify", run_dir).code == 0
    assert spectro_mpi_here("report", run_dir, "--no-previews").code == 0
    parts = run_dir / "report" / "parts"
    listed = json.loads(next(parts.glob("tables.*.js")).read_text()[len("spectroMpi.tables(") : -3])
    assert listed["labels"] == [[], ["Inverted V"]]
    tails = {figure["tail"] for figures in listed["figures"] for figure in figures}
    assert tails == {f"_{Path(name).name.partition('_')[2]}" for name in whole}

    folder = next((run_dir / "plots").rglob("13313"))
    named = next(folder.glob("*_inverted-v_*"))
    old = named.with_name(named.name.replace("_inverted-v_", "_cusp_"))
    shutil.copy(named, old)
    twice = spectro_mpi_here("verify", run_dir)
    assert twice.code == 1
    assert f"{named}: is figure {old.name} under another name" in twice.out
    assert spectro_mpi_here("verify", run_dir, "--repair").code == 1
    events.write_text(table)
    assert spectro_mpi("run", finished).code == 0
    assert pictures(run_dir) == whole  # whichever of the two was removed
    events.unlink()
    shutil.copy(named, old)
    named.unlink()
    assert spectro_mpi_here("verify", run_dir).code == 0  # as a run of an earlier version
    old.unlink()
    assert "is missing" in spectro_mpi_here("verify", run_dir, "--repair").out
    events.write_text(table)
    assert spectro_mpi("run", finished).code == 0
    assert pictures(run_dir) == whole


@pytest.mark.slow
def test_a_new_version_and_a_new_instrument_are_taken_up(finished: Path) -> None:
    data = finished.parent / "FAST_data"
    late = next(data.glob("*_ies_*13313*.cdf"))
    late.rename(late.with_suffix(".late"))
    assert spectro_mpi("run", finished, "--fresh").code == 0
    late.with_suffix(".late").rename(late)
    older, other = next(data.glob("*_ees_*13312*.cdf")), next(data.glob("*_ees_*13313*.cdf"))
    shutil.copy(other, older.with_name(older.name.replace("_v01", "_v02")))
    done = spectro_mpi("run", finished, ranks=3)
    assert done.code == 0
    assert "2 items will be done again: the input of phase reduce has changed" in done.out
    as_if_new(finished)


def test_what_was_made_of_a_file_that_is_gone_or_cut_off_stays(finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    before = pictures(run_dir)
    next((finished.parent / "FAST_data").glob("*_ees_*13313*.cdf")).unlink()
    os.truncate(next((finished.parent / "FAST_data").glob("*_ees_*13312*.cdf")), 1000)
    assert "done again" not in spectro_mpi("run", finished).out
    assert pictures(run_dir) == before


@pytest.mark.slow
def test_instruments_are_added_and_put_in_another_order_but_not_removed(finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    select = 'select.instruments=["ees"]'
    assert spectro_mpi("run", finished, "-s", select, "--fresh").code == 0
    before = {path: path.stat().st_mtime_ns for path in (run_dir / "plots").rglob("*.png")}
    for words in ('["ees", "ies"]', '["ies", "ees"]'):
        select = f"select.instruments={words}"
        done = spectro_mpi("run", finished, "-s", select)
        assert done.code == 0, done.err
        assert spectro_mpi("run", finished, "-s", select, "-s", "run_id=new", "--fresh").code == 0
        same_output(run_dir, run_dir.with_name("new"))
        after = {path: path.stat().st_mtime_ns for path in before}
        assert {path.name for path in before if after[path] != before[path]} == {
            path.name for path in before if "instrument-grid" in path.name
        }
    refused = spectro_mpi("run", finished, "-s", 'select.instruments=["ies"]')
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "was made with other settings of select.instruments" in refused.err


@pytest.mark.slow
def test_figures_that_are_gone_are_drawn_again(finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    before = pictures(run_dir)
    shutil.rmtree(next((run_dir / "plots").rglob("13312")))
    done = spectro_mpi("run", finished)
    assert "1 item will be done again: the files of phase plot are missing" in done.out
    shutil.rmtree(run_dir / "plots")
    assert "2 items will be done again" in spectro_mpi("run", finished, ranks=3).out
    assert pictures(run_dir) == before


def corrected(settings: Path) -> tuple[str, Path]:
    """Replace a file by one with other records, of the same name and size; returns its item."""
    data = settings.parent / "FAST_data"
    files = {item: next(data.glob(f"*_ees_*{item}*.cdf")) for item in ("13312", "13313")}
    shorter, longer = sorted(files, key=lambda item: files[item].stat().st_size)
    size = files[longer].stat().st_size
    files[longer].write_bytes(files[shorter].read_bytes().ljust(size, b"\0"))
    return longer, files[longer]


@pytest.mark.slow
def test_all_items_may_be_corrected(finished: Path) -> None:
    """Files of items that have been lost are not taken for some that were not recorded."""
    run_dir = finished.parent / "runs" / "fast"
    for path in (finished.parent / "FAST_data").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")
        run = spectro_mpi("run", finished)  # takes up what has grown
    assert run.code == 0
    for path in (finished.parent / "FAST_data").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert spectro_mpi_here("verify", run_dir, "--inputs", "--repair").code == 1
    done = spectro_mpi("run", finished)
    assert "adopted" not in done.out
    assert spectro_mpi_here("verify", run_dir, "--inputs").code == 0


@pytest.mark.slow
def test_a_corrected_file_of_the_same_size_is_found_by_verify_and_taken_up(finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    files = len(list((finished.parent / "FAST_data").iterdir()))
    size = sum(path.stat().st_size for path in (finished.parent / "FAST_data").iterdir())
    good = spectro_mpi_here("verify", run_dir, "--inputs")
    assert (good.code, good.out.count("\n")) == (0, 2)
    assert f"reading {files} input files, {size / 1e6:.0f} MB" in good.out
    item, path = corrected(finished)
    assert "done again" not in spectro_mpi("run", finished).out
    assert spectro_mpi_here("verify", run_dir).code == 0
    checked = spectro_mpi_here("verify", run_dir, "--inputs")
    assert checked.code == 1
    expected = f"{path}: has other content than when item {item} was made from it (SHA-256)"
    assert checked.out.splitlines()[1] == expected
    repaired = spectro_mpi_here("verify", run_dir, "--inputs", "--repair")
    assert "1 problem repaired; run again to redo 1 item" in repaired.out
    assert spectro_mpi("run", finished).code == 0
    as_if_new(finished)
    assert spectro_mpi_here("verify", run_dir, "--inputs").code == 0


def test_verify_keeps_what_was_made_of_a_file_that_is_gone_or_cut_off(finished: Path) -> None:
    run_dir, data = finished.parent / "runs" / "fast", finished.parent / "FAST_data"
    gone, cut = next(data.glob("*_ees_*13313*.cdf")), next(data.glob("*_ees_*13312*.cdf"))
    size = cut.stat().st_size
    gone.unlink()
    os.truncate(cut, 1000)
    before = (run_dir / "progress.json").read_bytes()
    for options in ((), ("--repair",)):
        checked = spectro_mpi_here("verify", run_dir, "--inputs", *options)
        assert checked.code == 1
        assert f"{gone.name}: is missing; item 13313 was made from it" in checked.out
        assert f"{cut.name}: has 1000 bytes, but had {size} when item 13312" in checked.out
        assert f"2 problems; the results in {run_dir} are kept" in checked.out
    assert (run_dir / "progress.json").read_bytes() == before


def test_verify_compares_sizes_where_an_earlier_version_kept_no_digest(finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    for path in (run_dir / "data").rglob("13312.h5"):
        with h5py.File(path, "r+") as file:
            for name in ("source_sha256", "provenance"):
                del file["ees"].attrs[name]
        progress = json.loads((run_dir / "progress.json").read_text())
        stamp = stamp_of_file(path)
        progress["data_files"]["reduce"]["13312"] = f"2000/01/13312.h5#{stamp}"
        (run_dir / "progress.json").write_text(json.dumps(progress))
    (run_dir / "sources.lines").unlink()
    checked = spectro_mpi_here("verify", run_dir, "--inputs")
    assert checked.code == 0
    words = "1 input file compared by name and size only: an earlier version kept no digest"
    assert words in checked.out


def test_verify_says_where_the_input_should_be(finished: Path) -> None:
    shutil.rmtree(finished.parent / "FAST_data")
    checked = spectro_mpi_here("verify", finished.parent / "runs" / "fast", "--inputs")
    assert checked.code == 2
    assert checked.err.count("\n") == 1
    assert "FAST_data" in checked.err
    assert "does not exist" in checked.err


def test_verify_compares_ephemeris_files(tmp_path: Path) -> None:
    demo = write_demo(tmp_path, orbits=2, seed=0)
    settings = demo.directory / "spectro-mpi.toml"
    words = ("--no-progress", "--only", "reduce", "-s", "report.at_end=false")
    assert spectro_mpi("run", settings, *words).code == 0
    run_dir = demo.directory / "runs" / "fast"
    assert spectro_mpi_here("verify", run_dir, "--inputs").code == 0
    path, gone = sorted((demo.directory / "FAST_data").rglob("fa_k0_orb_*.cdf"))
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    checked = spectro_mpi_here("verify", run_dir, "--inputs")
    expected = f"{path}: has other content than when item 13312 was made from it (SHA-256)"
    assert checked.code == 1 and expected in checked.out
    repaired = spectro_mpi_here("verify", run_dir, "--inputs", "--repair")
    assert "run again to redo 1 item" in repaired.out
    assert spectro_mpi("run", settings, *words).code == 0
    assert spectro_mpi_here("verify", run_dir, "--inputs").code == 0
    gone.unlink()
    checked = spectro_mpi_here("verify", run_dir, "--inputs", "--repair")
    assert f"{gone.name}: is missing; item 13313 was made from it" in checked.out
    assert "are kept" in checked.out
