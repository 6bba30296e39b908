"""What `fetch` gets from an archive: what is selected, the newest whole version, once."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spectro_mpi.settings.presets import preset_named
from spectro_mpi.terminal import transfers
from tests.conftest import BIN, spectro_mpi
from tests.fetch.archive_server import Archive, answer, cdf, cut, name, page, stall, status
from tests.fetch.conftest import Fetch


def files_in(folder: Path) -> dict[str, bytes]:
    """Path → content of the files below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("style", ["apache", "table", "nginx"])
def test_selected_orbits_of_selected_instruments_are_there_afterwards(
    archive: Archive, fetch: Fetch, tmp_path: Path, style: str
) -> None:
    archive.style = style
    archive.add(13312, 13313, 13314, 13325, instruments=("ees", "ies", "eeb"))
    done = fetch("-s", "select.orbits=13313-13325", "-s", 'select.instruments=["ees","ies"]')
    assert done.code == 0, done.err
    expected = {
        path: content
        for path, content in archive.files.items()
        if "13312" not in path and "eeb" not in path
    }
    assert len(expected) == 6
    assert files_in(tmp_path / "data") == expected
    assert "6 of 6 files fetched" in done.out
    assert not archive.paths("eeb/")


def test_a_second_fetch_asks_for_no_file_again(archive: Archive, fetch: Fetch) -> None:
    archive.add(13312, 13313)
    assert fetch().code == 0
    archive.requests.clear()
    done = fetch()
    assert done.code == 0
    assert "0 files to get; 2 already here" in done.out
    assert archive.paths(".cdf") == []


def test_dates_limit_files_and_folders(archive: Archive, fetch: Fetch, tmp_path: Path) -> None:
    archive.add(13312, 13325, 13335)  # of January, February and March
    done = fetch("-s", "select.start=2000-02-01", "-s", "select.stop=2000-03-01")
    assert done.code == 0
    assert [Path(path).name for path in files_in(tmp_path / "data")] == [
        name(13325, date="20000201")
    ]
    assert archive.paths("01/") == archive.paths("03/") == []


def test_a_dry_run_lists_files_and_writes_nothing(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, 13313)
    done = fetch("--dry-run", "-s", "select.skip=[13313]")
    assert done.code == 0
    (path,) = (path for path in archive.files if "13312" in path)
    assert f"0.0 MB  {archive.url}/{path}" in done.out
    assert "13313" not in done.out
    assert "1 file to get" in done.out
    assert archive.paths(".cdf") == []
    assert not (tmp_path / "data").exists()


def test_files_in_other_folders_of_the_input_are_not_fetched_again(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312)
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / name(13312)).write_bytes(cdf())
    done = fetch()
    assert done.code == 0
    assert archive.paths(".cdf") == []


def test_the_newest_version_is_fetched(archive: Archive, fetch: Fetch, tmp_path: Path) -> None:
    for version in (2, 10, 9):
        archive.add(13312, version=version)
    assert fetch().code == 0
    assert [Path(path).name for path in files_in(tmp_path / "data")] == [name(13312, version=10)]


def test_an_older_version_is_taken_if_the_newest_is_cut_off_in_the_archive(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, version=2)
    archive.add(13312, version=3)
    newest = archive.path_of(name(13312, version=3))
    archive.files[newest] = archive.files[newest][:-100]
    done = fetch()
    assert done.code == 3
    assert [Path(path).name for path in files_in(tmp_path / "data")] == [name(13312, version=2)]
    assert "truncated" in done.err
    assert f"{name(13312, version=2)} was taken" in done.err


def test_no_older_version_is_fetched_beside_a_newer_one(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, version=2)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name(13312, version=3)).write_bytes(cdf())
    assert fetch().code == 0
    assert archive.paths(".cdf") == []


def test_a_newer_version_that_cannot_be_had_leaves_the_one_here(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, version=1)
    archive.add(13312, version=2)
    archive.faults[archive.path_of(name(13312, version=2))] = [status(404)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name(13312)).write_bytes(cdf(seed=99))
    done = fetch()
    assert done.code == 3
    assert "404" in done.err
    assert files_in(tmp_path / "data") == {name(13312): cdf(seed=99)}


def test_a_file_here_that_is_cut_off_is_replaced_where_it_is(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312)
    spoilt = tmp_path / "data" / "2000" / name(13312)
    spoilt.parent.mkdir(parents=True)
    spoilt.write_bytes(cdf(seed=5)[:-10])
    assert fetch().code == 0
    assert files_in(tmp_path / "data") == {
        f"2000/{name(13312)}": archive.files[archive.path_of(name(13312))]
    }


def test_a_whole_file_here_is_never_replaced_and_the_difference_is_reported(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name(13312)).write_bytes(cdf(50_000, seed=5))
    done = fetch()
    assert done.code == 0
    assert "not those of the archive's file of that name; it is kept" in done.out
    assert files_in(tmp_path / "data") == {name(13312): cdf(50_000, seed=5)}


def test_an_orbit_named_by_itself_that_the_archive_lacks_is_listed(
    archive: Archive, fetch: Fetch
) -> None:
    archive.add(13312)
    done = fetch("-s", 'select.orbits="13310-13312,13320"')
    assert done.code == 3
    assert "orbit 13320: not in the archive" in done.err
    assert "13310" not in done.err  # a range may have gaps


def test_nothing_selected_in_the_archive_is_wrong_usage(archive: Archive, fetch: Fetch) -> None:
    archive.add(13312)
    done = fetch("-s", "select.orbits=99")
    assert done.code == 2
    assert "has no FAST ESA level-2 file that [select] lets through" in done.err


def test_an_archive_that_cannot_be_reached_is_said_in_a_sentence(
    archive: Archive, fetch: Fetch
) -> None:
    done = fetch("-s", 'fetch.url="http://127.0.0.1:9/l2"', "-s", "fetch.attempts=2")
    assert done.code == 1
    assert "nothing could be found" in done.err
    assert "refused" in done.err


def test_one_folder_that_cannot_be_listed_costs_its_files_only(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, 13325)
    archive.faults["ees/2000/01/"] = [status(500)]
    done = fetch()
    assert done.code == 3
    assert "ees/2000/01/: the server answers 500" in done.err
    assert len(files_in(tmp_path / "data")) == 1


def test_a_listing_with_damaged_compression_is_said_in_a_sentence(
    archive: Archive, fetch: Fetch
) -> None:
    archive.faults[""] = [lambda handler, _: handler.send_page("x" * 99, Content_Encoding="gzip")]
    done = fetch("-s", 'fetch.folders="."')
    assert done.code == 1
    assert f"nothing could be found: {archive.url}/: its compression is damaged\n" in done.err


def test_few_of_many_folders_are_listed_for_some_orbits(archive: Archive, fetch: Fetch) -> None:
    for number in range(120):
        date = f"{1997 + number // 12}{1 + number % 12:02d}01"
        for orbit in range(1000 + 10 * number, 1010 + 10 * number):
            archive.files[f"ees/{date[:4]}/{date[4:6]}/{name(orbit, date=date)}"] = cdf()
    # A stray file leads nobody astray.
    archive.files[f"ees/1997/01/{name(99_999, date='19970101')}"] = cdf()
    done = fetch("--dry-run", "-s", 'select.orbits="1709-1721"')
    assert done.code == 0
    assert "13 files to get" in done.out
    months = [path for path in archive.paths("/") if path.count("/") == 3]
    assert len(months) <= 18


def test_gaps_between_folders_lose_no_orbit(archive: Archive, fetch: Fetch) -> None:
    for number in (1, 2, 5, 9, 10, 12):
        path = f"ees/2000/{number:02d}/"
        archive.files[path + name(1000 + 10 * number, date=f"2000{number:02d}01")] = cdf()
        archive.files[path + name(1009 + 10 * number, date=f"2000{number:02d}02")] = cdf()
    for number in (3, 4, 6, 7, 8, 11):
        archive.files[f"ees/2000/{number:02d}/readme.txt"] = b"no data"
    for orbit in (1010, 1019, 1020, 1029, 1050, 1059, 1090, 1099, 1100, 1109, 1120, 1129):
        done = fetch("--dry-run", "-s", f"select.orbits={orbit}")
        assert done.code == 0, orbit


def test_not_more_than_the_allowed_number_of_files_come_at_a_time(
    archive: Archive, fetch: Fetch
) -> None:
    archive.add(*range(13312, 13320))
    assert fetch("-s", "fetch.parallel=3").code == 0
    assert archive.most_at_once <= 3


def test_the_archive_is_told_who_asks(archive: Archive, fetch: Fetch) -> None:
    archive.add(13312)
    fetch()
    agents = {headers["User-Agent"] for _, headers in archive.requests}
    assert len(agents) == 1
    assert agents.pop().startswith("spectro-mpi/")


def test_any_mission_is_fetched_from_folders_that_are_searched(
    archive: Archive, tmp_path: Path, fetch: Fetch, settings: Path
) -> None:
    archive.files["rel/2019/psp_l2-ic_20190401_v1.cdf"] = cdf()
    archive.files["rel/2019/old/psp_l2-ic_20190402_v1.cdf"] = cdf()
    archive.files["rel/2019/other_20190402_v1.cdf"] = cdf()
    with settings.open("a") as file:
        file.write(
            '[data]\npreset = "istp"\n[[instrument]]\nname = "ic"\n'
            'file = "psp_l2-ic_{date}_v{version}.cdf"\nvalue = "flux"\ntime = "Epoch"\n'
            "energy = [1, 2]\n"
        )
    done = fetch()
    assert done.code == 0, done.err
    assert sorted(files_in(tmp_path / "data")) == [
        "rel/2019/old/psp_l2-ic_20190402_v1.cdf",
        "rel/2019/psp_l2-ic_20190401_v1.cdf",
    ]
    archive.requests.clear()
    assert fetch("-s", "fetch.folders=rel/%Y", "--dry-run").code == 0
    assert archive.paths() == ["rel/", "rel/2019/"]


def test_a_preset_without_an_archive_asks_for_its_address(tmp_path: Path) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(
        '[data]\npreset = "istp"\n[[instrument]]\nname = "a"\nfile = "a_{date}.cdf"\n'
        'value = "x"\ntime = "t"\nenergy = [1, 2]\n'
    )
    done = spectro_mpi("fetch", settings)
    assert done.code == 2
    assert "fetch.url: is needed" in done.err


def test_the_archive_of_fast_is_known() -> None:
    preset = preset_named("fast-esa")
    assert preset.archive.startswith("https://spdf.gsfc.nasa.gov/")
    assert preset.folders == "{instrument}/%Y/%m"


def started(settings: Path) -> subprocess.Popen[str]:
    """A `fetch` in a process."""
    return subprocess.Popen(
        [str(BIN / "spectro-mpi"), "fetch", str(settings), "-s", "fetch.timeout_seconds=60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
def test_a_fetch_that_is_stopped_or_killed_is_resumed_where_it_was(
    archive: Archive, settings: Path, fetch: Fetch, tmp_path: Path, number: signal.Signals
) -> None:
    archive.add(13312)
    path = archive.path_of(name(13312))
    archive.faults[path] = [stall(9000), answer]
    process = started(settings)
    assert archive.reached.wait(30)
    part = tmp_path / "data" / f"{path}.part"
    while not part.exists() or part.stat().st_size < 9000:
        assert process.poll() is None
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 75, out
        assert "run again to continue" in out
    assert not (tmp_path / "data" / path).exists()
    assert fetch().code == 0
    assert files_in(tmp_path / "data") == {path: archive.files[path]}
    (_, rest) = archive.sent[-1]
    assert rest == len(archive.files[path]) - 9000


def test_two_fetches_do_not_write_to_one_folder(
    archive: Archive, settings: Path, fetch: Fetch
) -> None:
    archive.add(13312)
    archive.faults[archive.path_of(name(13312))] = [stall(9000)]
    process = started(settings)
    assert archive.reached.wait(30)
    done = fetch()
    assert done.code == 2
    assert "another `spectro-mpi fetch` writes there" in done.err
    process.kill()
    process.communicate()


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ees").write_text("a file in the way")
    done = fetch()
    assert done.code == 1
    assert "ees" in done.err
    assert "cannot be written" in done.err


def test_the_result_of_a_fetch_does_not_depend_on_how_it_came(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(*range(13312, 13318))
    for place, path in enumerate(sorted(archive.files)):
        size = len(archive.files[path])
        archive.faults[path] = [cut(place * 1000), status(503), cut(size - 1), answer]
    done = fetch("-s", "fetch.attempts=6")
    assert done.code == 0, done.err
    assert files_in(tmp_path / "data") == archive.files


def test_ranks_and_other_commands_do_not_load_what_fetch_needs() -> None:
    code = (
        "import sys, spectro_mpi.mpi.session, spectro_mpi.phases.child\n"
        "from spectro_mpi.cli.fetch import add\n"
        "assert not {'urllib3', 'http.client', 'spectro_mpi.fetch'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_error_page_is_no_listing_and_no_file(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, 13325)
    archive.faults["ees/2000/01/"] = [page("<h1>Down for maintenance</h1>")]
    archive.faults[archive.path_of(name(13325, date="20000201"))] = [page("<h1>Log in</h1>")]
    done = fetch()
    assert done.code == 3
    assert "ees/2000/01/: is no listing: the page has no links\n" in done.err
    assert "is no CDF file: the server sends text/html" in done.err
    assert files_in(tmp_path / "data") == {}


def test_progress_is_shown_on_a_terminal_and_in_lines(
    archive: Archive, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add(*range(13312, 13316))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(BIN / "spectro-mpi"), "fetch", str(settings)], stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is closed
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert process.wait(30) == 0
    assert b"4 of 4 files, 0.1 of" in shown
    assert "\u2501".encode() in shown  # a bar


def test_lines_of_progress_count_files_and_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transfers, "_LINE_SECONDS", 0.0)
    display = transfers.TransferDisplay(visible=True)
    display.listing(3, "ees/2000")
    display.begin(files=8, size=4_000_000)
    display.show(done=2, failed=1, size=1_000_000)
    display.end()
    out = capsys.readouterr().out
    assert "looking into folder 3: ees/2000" in out
    assert "fetch: 2 of 8 files, 1 failed, 1.0 of 4.0 MB" in out


def test_a_disk_that_is_full_ends_it_with_a_sentence_and_it_is_resumed(
    archive: Archive, settings: Path, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, 13313)
    # Files of at most 8 blocks of 1024 bytes, in place of a full disk.
    command = f"ulimit -f 8 && exec {BIN / 'spectro-mpi'} fetch {settings} --no-progress"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot be written: File too large; fix this and run fetch again" in done.stderr
    assert fetch().code == 0
    assert files_in(tmp_path / "data") == archive.files


def test_ephemeris_files_of_selected_orbits_come_along(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    archive.add(13312, 13313, 13325)
    for orbit, version in ((13312, 1), (13312, 2), (13313, 1), (13325, 1), (14000, 1)):
        archive.files[f"orb/2000/fa_k0_orb_{orbit}_v{version:02d}.cdf"] = cdf(seed=orbit + version)
    words = ("-s", "select.orbits=13312-13313", "-s", f"fetch.ephemeris={archive.url}/orb/%Y/**")
    folders = ("-s", "fetch.folders={instrument}/%Y/%m")
    done = fetch(*words, *folders)
    assert done.code == 0, done.err
    here = {Path(path).name for path in files_in(tmp_path / "data")}
    assert {each for each in here if "orb" in each} == {
        "fa_k0_orb_13312_v02.cdf",
        "fa_k0_orb_13313_v01.cdf",
    }
    assert "4 of 4 files fetched" in done.out
    archive.requests.clear()
    assert "0 files to get; 4 already here" in fetch(*words, *folders).out
    assert archive.paths(".cdf") == []


def test_data_are_fetched_without_their_ephemeris(archive: Archive, fetch: Fetch) -> None:
    archive.add(13312)
    folders = ("-s", "fetch.folders={instrument}/%Y/%m")
    done = fetch("-s", f"fetch.ephemeris={archive.url}/nowhere/%Y", *folders)
    assert done.code == 0
    assert "nowhere: has no ephemeris of 1 item (" in done.out
    assert "1 of 1 file fetched" in done.out
    assert "ephemeris" not in fetch("-s", 'fetch.ephemeris="none"', *folders).out
    wrong = fetch("-s", "fetch.ephemeris=ftp://here/%Y")
    assert wrong.code == 2 and "fetch.ephemeris = " in wrong.err
