"""The sample data: what a FAST scientist and a reader of level-2 files may rely on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary, write_demo
from spectro_mpi.demo.damage import write_file
from spectro_mpi.demo.ephemeris import ephemeris_name, write_ephemeris
from spectro_mpi.demo.orbits import FIRST_ORBIT_START, plan_orbit
from spectro_mpi.demo.tables import mode_tables
from spectro_mpi.demo.telemetry import encode
from spectro_mpi.demo.templates import SETTINGS
from spectro_mpi.instruments.fast_esa_counts import count_of_code, decode_counts
from spectro_mpi.model.as_xarray import energy_of_records
from spectro_mpi.model.items import InputPath
from spectro_mpi.phases.item_ephemeris import ephemeris_of
from spectro_mpi.phases.reduce import reduce_with
from spectro_mpi.settings.loading import config_from_text

MASTER = Path(__file__).parents[3] / "shared/data/fa_esa_l2_eeb_00000000_v01.cdf"
needs_master = pytest.mark.skipif(
    not MASTER.exists(), reason="NASA's master CDF is not beside the project"
)
TABLES_BY_MODE = ("energy", "denergy", "theta", "dtheta", "eff")
RECORD_TABLES = ("energy_full", "denergy_full", "domega")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    """Two orbits, a burst and every kind of damage."""
    directory = tmp_path_factory.mktemp("demo")
    return write_demo(directory, orbits=2, burst_records=300, damaged=True)


def find(demo: DemoSummary, instrument: str, orbit: int) -> Path:
    return max(demo.directory.rglob(f"fa_esa_l2_{instrument}_*_{orbit}_v*.cdf"))


def damaged(demo: DemoSummary, damage: str) -> Path:
    (path,) = (file.path for file in demo.damaged if file.damage == damage)
    return path


def read(path: Path, *names: str) -> list[Any]:
    cdf = cdflib.CDF(path)
    return [cdf.varget(name) for name in names]


def contents(directory: Path, pattern: str = "*") -> dict[str, bytes]:
    files = (path for path in directory.rglob(pattern) if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


# --- which bytes are written


def test_same_seed_gives_same_bytes_in_another_process_and_directory(tmp_path: Path) -> None:
    write_demo(tmp_path / "one", orbits=1, seed=5)
    script = "import sys, pathlib, spectro_mpi.demo as d; d.write_demo(pathlib.Path('.'), 1, 5)"
    elsewhere = tmp_path / "another directory"
    elsewhere.mkdir()
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        check=True,
    )
    assert contents(elsewhere) == contents(tmp_path / "one")


def test_another_seed_gives_other_data(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_demo(tmp_path / str(seed), orbits=1, seed=seed)
    first, second = (set(contents(tmp_path / seed, "*.cdf").values()) for seed in "12")
    assert not first & second


@pytest.mark.slow
def test_an_orbit_is_the_same_however_many_are_written(demo: DemoSummary, tmp_path: Path) -> None:
    write_demo(tmp_path, orbits=1)
    alone = contents(tmp_path, "*.cdf")
    among_others = contents(demo.directory, "*_13312_*.cdf")
    assert {name: among_others[name] for name in alone} == alone
    (added,) = among_others.keys() - alone.keys()
    assert demo.large_burst == demo.directory / added


def test_a_demo_is_never_written_over_another(demo: DemoSummary, tmp_path: Path) -> None:
    before = contents(demo.directory)
    with pytest.raises(FileExistsError, match="choose another directory"):
        write_demo(demo.directory, orbits=1)
    assert contents(demo.directory) == before
    (tmp_path / "FAST_data").mkdir()
    (tmp_path / "FAST_data" / "mine.cdf").write_bytes(b"real data")
    with pytest.raises(FileExistsError, match="FAST_data exists"):
        write_demo(tmp_path, orbits=1)


def test_impossible_demos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one orbit"):
        write_demo(tmp_path, orbits=0)
    with pytest.raises(ValueError, match="80000 burst records"):
        write_demo(tmp_path, burst_records=100_000)
    assert not contents(tmp_path)


def test_the_summary_counts_what_is_there(demo: DemoSummary) -> None:
    files = contents(demo.directory, "fa_esa_*.cdf")
    assert demo.files == len(files)
    assert demo.bytes == sum(map(len, files.values()))
    assert demo.orbits == 2 + len(demo.damaged)
    assert demo.events == len((demo.directory / "events.csv").read_text().splitlines()) - 1


# --- the files as files


@needs_master
@pytest.mark.parametrize("orbit, instrument", [(13312, "eeb"), (13312, "ees"), (13313, "ies")])
def test_variables_types_and_attributes_are_those_of_the_master(
    demo: DemoSummary, orbit: int, instrument: str
) -> None:
    master, ours = cdflib.CDF(MASTER), cdflib.CDF(find(demo, instrument, orbit))
    assert ours.cdf_info().zVariables == master.cdf_info().zVariables
    assert ours.cdf_info().Majority == "Row_major"
    for name in master.cdf_info().zVariables:
        theirs, mine = master.varinq(name), ours.varinq(name)
        assert mine.Data_Type == theirs.Data_Type, name
        assert mine.Rec_Vary == theirs.Rec_Vary, name
        if instrument == "eeb":
            # A file in several modes has several tables of these.
            last = slice(-2, None) if name in ("bins", "gf") else slice(None)
            assert mine.Dim_Sizes[last] == theirs.Dim_Sizes[last], name
            assert mine.Num_Elements == theirs.Num_Elements, name
        attributes, expected = ours.varattsget(name), master.varattsget(name)
        assert attributes.keys() == expected.keys(), name
        for attribute in expected:
            if instrument == "eeb" or not isinstance(expected[attribute], str):
                mine, theirs = ours.attget(attribute, name), master.attget(attribute, name)
                assert (mine.Data, mine.Data_Type) == (theirs.Data, theirs.Data_Type)
        if instrument == "eeb" and name.endswith(("_labl_96", "_labl_64", "_labl", "_name")):
            np.testing.assert_array_equal(ours.varget(name), master.varget(name))
    own = {"Generated_by", "Logical_file_id", "Data_version"}
    if instrument == "eeb":
        theirs, mine = master.globalattsget(), ours.globalattsget()
        assert theirs.keys() == mine.keys()
        assert {n: v for n, v in theirs.items() if n not in own} == {
            n: v for n, v in mine.items() if n not in own
        }


@needs_master
def test_calibration_tables_are_those_of_the_master() -> None:
    master = cdflib.CDF(MASTER)
    for name in TABLES_BY_MODE:
        table = master.varget(name)
        for mode in (0, 2):
            np.testing.assert_array_equal(
                getattr(mode_tables(mode), name)[:32], table[mode], err_msg=f"{name}, mode {mode}"
            )
    np.testing.assert_array_equal(mode_tables(0).gf[:, :48], master.varget("gf")[:, :48])


def test_all_modes_have_the_same_responses() -> None:
    for mode in (1, 2):
        np.testing.assert_array_equal(mode_tables(mode).gf[:32, :48], mode_tables(0).gf[:32, :48])


def test_each_mode_of_a_file_has_its_own_table_of_bins(demo: DemoSummary) -> None:
    several = 0
    for path in demo.directory.rglob("fa_esa_*_1331[23]_v*.cdf"):
        mode, row, bins = read(path, "mode_ind", "bins_ind", "bins")
        several += bins.ndim == 3
        for table in np.unique(row):
            (used,) = np.unique(mode[row == table])
            nbins, nenergy = {0: (32, 48), 1: (64, 48), 2: (32, 96)}[used]
            expected = np.zeros(bins.shape[-2:], bool)
            expected[:nbins, 1:nenergy] = True
            np.testing.assert_array_equal(bins.reshape(-1, *expected.shape)[table], expected)
    assert several


def test_no_text_of_an_ion_survey_file_speaks_of_electrons_or_bursts(demo: DemoSummary) -> None:
    cdf = cdflib.CDF(find(demo, "ies", 13312))
    texts = [str(value) for value in cdf.globalattsget().values()]
    for name in cdf.cdf_info().zVariables:
        texts += [text for text in cdf.varattsget(name).values() if isinstance(text, str)]
    texts += [" ".join(read(find(demo, "ies", 13312), name)[0]) for name in ("angle_labl_64",)]
    general = ("(0-2 for survey data, 0-1 for burst data)", "Proton or Electron")
    left = [t for t in texts if re.search("burst|electron(?!ic|static)|eesa|eeb", t, re.I)]
    assert [t for t in left if not any(phrase in t for phrase in general)] == []
    assert "Iesa Survey" in read(find(demo, "ies", 13312), "data_name")[0]


def test_names_tell_start_orbit_and_version(demo: DemoSummary) -> None:
    for path in demo.directory.rglob("fa_esa_*_1331[23]_v*.cdf"):
        parts = re.fullmatch(r"fa_esa_l2_\w{3}_(\d{14})_(\d{5})_v01", path.stem)
        assert parts is not None
        stamp, orbit = parts.groups()
        cdf = cdflib.CDF(path)
        start = np.datetime64(int(cdf.varget("time_start")[0]), "s")
        assert re.sub(r"\D", "", str(start)) == stamp
        assert list(cdf.varget("orbit_number")) == [int(orbit)] * 2
        assert cdf.globalattsget()["Logical_file_id"] == [path.stem]
        assert path.parent.parts[-2:] == (stamp[:4], stamp[4:6])


def test_files_read_the_same_with_another_reader(demo: DemoSummary) -> None:
    pycdfpp = pytest.importorskip("pycdfpp")
    path = find(demo, "ees", 13313)
    ours = cdflib.CDF(path)
    theirs = pycdfpp.load(str(path))
    for name in ("time_unix", "mode_ind", "data", "eflux", "pitch_angle", "domega", "energy"):
        values = np.asarray(theirs[name].values)
        np.testing.assert_array_equal(values.reshape(ours.varget(name).shape), ours.varget(name))


def test_a_range_of_records_reads_as_part_of_the_whole(demo: DemoSummary) -> None:
    cdf = cdflib.CDF(find(demo, "ees", 13312))
    np.testing.assert_array_equal(
        cdf.varget("data", startrec=60, endrec=140), cdf.varget("data")[60:141]
    )


# --- the records


@pytest.mark.parametrize("burst", [False, True])
def test_codes_stand_for_the_documented_counts(burst: bool) -> None:
    documented = {0: 0, 15: 15, 16: 16, 17: 18, 24: 32, 32: 64, 33: 68, 48: 128, 64: 256, 80: 512}
    documented |= {95: 992, 96: 1024}
    if burst:
        documented |= {97: 1056, 128: 2048, 160: 4096, 192: 8192, 255: 8192 + 63 * 128}
    else:
        documented |= {
            97: 1088,
            112: 2048,
            128: 4096,
            160: 8192,
            192: 16384,
            255: 32768 + 31 * 1024,
        }
    codes = np.array(list(documented), dtype=np.uint8)
    assert decode_counts(codes, burst).tolist() == list(documented.values())


@pytest.mark.parametrize("burst", [False, True])
def test_a_code_is_the_nearest_below_its_count(burst: bool) -> None:
    every_code = np.arange(256, dtype=np.uint8)
    assert encode(decode_counts(every_code, burst), burst).tolist() == list(range(256))
    counts = np.arange(70_000)
    decoded = decode_counts(encode(counts, burst), burst)
    assert np.all(decoded <= counts)
    following = np.append(count_of_code(burst), 10**9)[encode(counts, burst).astype(int) + 1]
    assert np.all(counts < following)


@pytest.mark.parametrize("orbit, instrument", [(13312, "ees"), (13312, "eeb"), (13313, "ies")])
def test_eflux_agrees_with_the_decoded_counts(
    demo: DemoSummary, orbit: int, instrument: str
) -> None:
    path = find(demo, instrument, orbit)
    names = ("data", "eflux", "mode_ind", "nbins", "nenergy", "time_integ", "geom_factor")
    data, eflux, mode, nbins, nenergy, dt, geom = read(path, *names)
    gf, eff, dead, row = read(path, "gf", "eff", "dead", "gf_ind")
    gf = gf.reshape(-1, 64, 96)
    counts = decode_counts(data, burst=instrument.endswith("b"))
    for record in range(0, len(data), 7):
        used = np.s_[: nbins[record], : nenergy[record]]
        rate = counts[record][used] / dt[record]
        response = geom[record] * gf[row[record]][used] * eff[mode[record]][used]
        np.testing.assert_allclose(
            eflux[record][used], rate / (1 - dead * rate) / response, rtol=1e-5
        )


@pytest.mark.parametrize("instrument", ["ees", "ies", "eeb"])
def test_pitch_angle_is_theta_plus_shift_and_unused_cells_are_fill(
    demo: DemoSummary, instrument: str
) -> None:
    path = find(demo, instrument, 13312)
    names = ("pitch_angle", "theta_shift", "mode_ind", "nbins", "nenergy", "data", "eflux")
    pitch_angle, shift, mode, nbins, nenergy, data, eflux = read(path, *names)
    (theta,) = read(path, "theta")
    for record in range(0, len(mode), 7):
        used = np.zeros((64, 96), dtype=bool)
        used[: nbins[record], : nenergy[record]] = True
        expected = np.full((64, 96), np.nan)
        expected[:32] = theta[mode[record]][:32]
        expected[: len(theta[0])] = theta[mode[record]]
        turned = pitch_angle[record] - (expected + shift[record])
        np.testing.assert_allclose((turned[used] + 180) % 360 - 180, 0, atol=1e-4)
        assert np.all((pitch_angle[record][used] >= 0) & (pitch_angle[record][used] < 360))
        assert np.all(pitch_angle[record][~used] == np.float32(-1e31))
        assert np.all(eflux[record][~used] == np.float32(-1e31))
        assert np.all(data[record][~used] == 0)


@pytest.mark.parametrize("instrument", ["ees", "ies", "eeb"])
def test_a_records_own_tables_are_those_of_its_mode(demo: DemoSummary, instrument: str) -> None:
    mode, nbins, nenergy, *own = read(
        find(demo, instrument, 13312), "mode_ind", "nbins", "nenergy", *RECORD_TABLES
    )
    shape = {0: (32, 48), 1: (64, 48), 2: (32, 96)}
    for record in range(0, len(mode), 7):
        tables = mode_tables(mode[record])
        assert (nbins[record], nenergy[record]) == shape[mode[record]]
        for name, table in zip(RECORD_TABLES, own, strict=True):
            expected = getattr(tables, name.removesuffix("_full"))
            np.testing.assert_array_equal(table[record], expected)
        around = tables.domega[: nbins[record], : nenergy[record]].sum(axis=0)
        np.testing.assert_allclose(around, 4 * np.pi, rtol=0.02)


def test_times_increase_and_agree_with_each_other(demo: DemoSummary) -> None:
    names = ("epoch", "time_unix", "time_start", "time_end", "time_delta", "time_integ", "nenergy")
    for path in demo.directory.rglob("fa_esa_*_1331[23]_v*.cdf"):
        epoch, centre, start, end, delta, integration, nenergy = read(path, *names)
        assert np.all(np.diff(centre) > 0)
        assert np.all(start[1:] >= end[:-1] - 1e-6)
        np.testing.assert_allclose(end - start, delta, atol=1e-6)
        np.testing.assert_allclose((start + end) / 2, centre, atol=1e-6)
        np.testing.assert_allclose(delta / nenergy, integration)
        unix = cdflib.cdfepoch.unixtime(epoch[:1])
        np.testing.assert_allclose(unix, centre[:1], atol=2e-3)


def test_a_burst_file_has_the_records_that_were_asked_for(demo: DemoSummary) -> None:
    assert demo.large_burst is not None
    mode, delta, total = read(demo.large_burst, "mode_ind", "time_delta", "num_dists")
    assert len(mode) == total == 300
    assert np.all(np.isin(mode, (0, 2)))
    assert np.all((delta > 0.07) & (delta < 0.16))


def test_some_records_are_invalid_but_most_are_good(demo: DemoSummary) -> None:
    for orbit in (13312, 13313):
        valid, quality = read(find(demo, "ees", orbit), "valid", "data_quality")
        assert 0 < np.sum(valid == 0) < 0.1 * len(valid)
        assert not quality[valid == 1].any()
        assert quality[valid == 0].any()


def test_orbits_differ_as_those_of_the_archive_do() -> None:
    plans = [plan_orbit(13312 + index, seed=0) for index in range(100)]
    surveys = [file for plan in plans for file in plan.files if not file.instrument.burst]
    bursts = [file for plan in plans for file in plan.files if file.instrument.burst]
    assert any(len(file.modes) > 1 for file in surveys)
    assert set().union(*(file.modes for file in surveys)) == {0, 1, 2}
    assert set().union(*(file.modes for file in bursts)) == {0, 2}
    instruments = [{file.instrument.name for file in plan.files} for plan in plans]
    assert any(not {"ees", "ies"} <= present for present in instruments)
    starts = [[file.segments[0].start for file in plan.files] for plan in plans]
    assert any(max(times) - min(times) > 600 for times in starts)
    assert 5 < np.std([np.log2(file.records) for file in surveys]) * 10 < 10


def test_a_second_version_is_the_better_one() -> None:
    plans = [plan_orbit(13312 + index, seed=0) for index in range(12)]
    twice = [plan for plan in plans if any(file.version == 2 for file in plan.files)]
    assert [plan.orbit for plan in twice] == [13315]
    first, second, *_ = twice[0].files
    assert (first.version, second.version) == (1, 2)
    assert first.instrument == second.instrument
    assert first.records < 0.7 * second.records
    assert first.noise > second.noise
    assert twice[0].best_file(second.instrument.name) == second


# --- the physics


def test_the_atmosphere_empties_the_upgoing_loss_cone(demo: DemoSummary) -> None:
    for instrument in ("ees", "ies"):
        names = ("eflux", "pitch_angle", "valid", "time_unix")
        path = find(demo, instrument, 13313)
        eflux, pitch_angle, valid, time = read(path, *names)
        orbit = plan_orbit(13313, seed=0)
        latitude = orbit.track.conditions(time).invariant_latitude
        hot = np.s_[:, :, 5:16]  # 1 to 15 keV
        sheet = (valid == 1) & (latitude > 65) & (latitude < 71)
        for structure in orbit.structures:
            sheet &= (time < structure.start) | (time > structure.end)
        angles, flux = pitch_angle[sheet][hot], eflux[sheet][hot]
        trapped = flux[(angles > 60) & (angles < 120)].mean()
        upgoing = flux[np.abs(angles - 180) < 12].mean()
        downgoing = flux[(angles >= 0) & ((angles < 12) | (angles > 348))].mean()
        assert upgoing < 0.3 * trapped
        assert downgoing > 0.7 * trapped


def test_the_potential_is_positive_and_highest_in_auroral_cavities(demo: DemoSummary) -> None:
    potential, time = read(find(demo, "ees", 13312), "sc_pot", "time_unix")
    assert ((potential > 1) & (potential < 20)).all()
    arcs = [each for each in plan_orbit(13312, 0).structures if each.kind == "inverted-v"]
    inside = np.any([(time > arc.start) & (time < arc.end) for arc in arcs], axis=0)
    assert potential[inside].mean() > 1.3 * potential[~inside].mean()


def test_marked_events_hold_the_cusps_ion_dispersion(demo: DemoSummary) -> None:
    header, *rows = (demo.directory / "events.csv").read_text().splitlines()
    assert header.startswith(
        "Orbit Number,ees min Index,ees Max Index,ies min Index,ies Max Index,"
    )
    assert rows
    for row in rows:
        orbit, _, _, first, last = map(int, row.split(",")[:5])
        path = find(demo, "ies", orbit)
        eflux, valid, mode, energies = read(path, "eflux", "valid", "mode_ind", "energy")
        inside = [r for r in range(first, last + 1) if valid[r] == 1]
        peaks = []
        for record in inside:
            spectrum = np.where(eflux[record] < 0, 0, eflux[record])[:32].sum(axis=0)
            peaks.append(energies[mode[record], 0, np.argmax(spectrum[1:40]) + 1])
        half = len(peaks) // 2
        assert peaks[0] > 2000 and peaks[0] > 8 * peaks[-1]
        assert np.min(peaks[:half]) >= np.max(peaks[half:]) * 0.8


def test_times_of_marked_events_are_the_edges_of_their_records(demo: DemoSummary) -> None:
    for row in (demo.directory / "events.csv").read_text().splitlines()[1:]:
        orbit, *cells = row.split(",")
        for name, pair, times in (("ees", cells[:2], cells[4:6]), ("ies", cells[2:4], cells[6:8])):
            starts, ends = read(find(demo, name, int(orbit)), "time_start", "time_end")
            edges = (starts[int(pair[0])], ends[int(pair[1])])
            for time, edge in zip(times, edges, strict=True):
                told = datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
                assert told == pytest.approx(edge, abs=1e-3)


def test_survey_counts_are_neither_empty_nor_saturated(demo: DemoSummary) -> None:
    for instrument in ("ees", "ies"):
        data, valid = read(find(demo, instrument, 13313), "data", "valid")
        per_channel = data[valid == 1].astype(int).sum(axis=1)[:, :48]
        assert np.median(per_channel) > 20
        assert data[valid == 1].max() < 250
        assert np.mean(valid) > 0.9


# --- what goes with the data


def test_settings_say_every_contract_setting_and_parse(demo: DemoSummary) -> None:
    text = (demo.directory / "spectro-mpi.toml").read_text()
    if sys.version_info >= (3, 11):
        import tomllib

        def parse(toml: str) -> dict[str, Any]:
            return tomllib.loads(toml)
    else:
        parse = pytest.importorskip("tomli").loads
    settings = parse(text)
    assert (settings["run_id"], settings["input"], settings["output"]) == (
        "fast",
        "FAST_data",
        "runs",
    )
    assert settings["plot"]["events"] == "events.csv"
    everything = parse(re.sub(r"(?m)^# (?=\w+ = |\[)", "", text))
    assert {name: len(table) for name, table in everything.items() if isinstance(table, dict)} == {
        "select": 5,
        "data": 9,
        "angles": 1,
        "atlas": 10,
        "ephemeris": 3,
        "pitch_angles": 7,
        "extrema": 3,
        "plot": 19,
        "run": 9,
        "axes": 1,
    }


# --- damage


def test_every_damage_has_its_orbit_and_the_good_files_beside_it(demo: DemoSummary) -> None:
    assert [(file.orbit, file.damage, file.expected) for file in demo.damaged] == [
        (13314, "empty", "error"),
        (13315, "text", "error"),
        (13316, "truncated", "error"),
        (13317, "no-records", "error"),
        (13318, "all-fill", "error"),
        (13319, "missing-variable", "error"),
        (13320, "wrong-dimensions", "error"),
        (13321, "not-a-number", "tolerated"),
        (13322, "disordered-times", "tolerated"),
        (13323, "odd-name", "tolerated"),
    ]
    alone = {"truncated", "all-fill"}
    for file in demo.damaged:
        assert file.path.is_file()
        beside = set(demo.directory.rglob(f"fa_esa_*_{file.orbit}_v*.cdf")) - {file.path}
        assert len(beside) == (0 if file.damage in alone else 1)
        for path in beside:
            assert len(read(path, "data")[0]) == 120


def test_damaged_files_are_damaged_as_described(demo: DemoSummary) -> None:
    assert damaged(demo, "empty").read_bytes() == b""
    assert damaged(demo, "text").read_bytes().startswith(b"<html>")
    with pytest.raises(Exception, match=r".*"):
        read(damaged(demo, "truncated"), "data", "eflux", "pitch_angle")
    no_records = cdflib.CDF(damaged(demo, "no-records"))
    assert no_records.varinq("data").Last_Rec == -1
    (data, eflux, time) = read(damaged(demo, "all-fill"), "data", "eflux", "time_unix")
    assert np.all(data == 255) and np.all(eflux == np.float32(-1e31)) and np.all(time == -1e31)
    missing = cdflib.CDF(damaged(demo, "missing-variable")).cdf_info().zVariables
    assert "pitch_angle" not in missing and "data" in missing
    assert read(damaged(demo, "wrong-dimensions"), "data")[0].shape == (120, 32, 48)


def test_tolerable_files_hold_what_a_reader_has_to_bear(demo: DemoSummary) -> None:
    names = ("eflux", "pitch_angle", "time_unix")
    eflux, pitch_angle, time = read(damaged(demo, "not-a-number"), *names)
    assert 0.01 < np.isnan(eflux).mean() < 0.05
    assert np.isnan(pitch_angle[5]).all() and np.isnan(time[11])
    (time,) = read(damaged(demo, "disordered-times"), "time_unix")
    assert (np.diff(time) < 0).any() and (np.diff(time) == 0).any()
    odd = damaged(demo, "odd-name")
    assert not re.search(r"\d{14}|_v\d\d", odd.name)
    np.testing.assert_array_equal(*(read(p, "data")[0] for p in (odd, find(demo, "ees", 13323))))


# --- where the spacecraft was


@pytest.mark.parametrize(("orbit", "seed", "north"), [(13321, 0, False), (13312, 0, True)])
def test_more_electrons_go_down_than_up_in_both_hemispheres(
    tmp_path: Path, orbit: int, seed: int, north: bool
) -> None:
    plan = plan_orbit(orbit, seed)
    file = plan.best_file("ees")
    assert file is not None
    assert plan.track.conditions(file.record_starts()).north.mean() == pytest.approx(
        float(north), abs=0.2
    )
    write_file(tmp_path / file.name, plan, file)
    write_ephemeris(tmp_path / ephemeris_name(orbit), plan)
    config = config_from_text(SETTINGS, tmp_path, "demo")
    place = InputPath("ephemeris", str(tmp_path / ephemeris_name(orbit)), 1, 1)
    ephemeris, notes = ephemeris_of([place], config, fast=False)
    assert notes == []
    data = reduce_with(
        InputPath("ees", str(tmp_path / file.name), 1, 1), config, fast=False, ephemeris=ephemeris
    )
    above = energy_of_records(data) > 100  # below, electrons of the atmosphere go up
    rows = {
        name: float(np.nansum(np.where(above, values, np.nan)))
        for name, values in zip(data.category, data.values, strict=True)
    }
    assert rows["downgoing"] > 2 * rows["upgoing"]
    assert list(rows) == ["all", "downgoing", "upgoing", "perpendicular"]


def test_each_orbit_has_an_ephemeris_from_its_start_to_its_end(demo: DemoSummary) -> None:
    files = sorted(demo.directory.rglob("fa_k0_orb_*.cdf"))
    assert len(files) == demo.orbits
    for number, path in enumerate(files):
        time, orbit = read(path, "unix_time", "orbit")
        assert set(orbit.tolist()) == {13312 + number}
        assert time[0] == FIRST_ORBIT_START + 7980 * number
        assert time[-1] - time[0] == 7980
        r, v, alt = read(path, "r", "v", "alt")
        np.testing.assert_allclose(np.linalg.norm(r, axis=1), alt + 6371, rtol=1e-5)
        # Energy is conserved along an orbit: v²/2 − μ/r.
        speed = np.linalg.norm(v.astype(np.float64), axis=1)
        energy = speed**2 / 2 - 398_600 / np.linalg.norm(r.astype(np.float64), axis=1)
        assert energy.std() < 0.02 * abs(energy.mean())
