"""`data.cadence`: averages in the store, across files, whatever is read at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spectro_mpi
from spectro_mpi.demo import DemoSummary
from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.marks import parse_marks
from spectro_mpi.phases.reduce import at_cadence, reduce_file
from spectro_mpi.settings.loading import config_from
from spectro_mpi.settings.schema import Config, DataSettings, SettingsError
from tests.conftest import spectro_mpi as command
from tests.istp_files import TIME, epoch, flux, variables, write

SETTINGS = """\
run_id = "day"
input = "data"
[data]
preset = "istp"
cadence = "0.5 min"
chunk_records = {chunk}
[plot]
limits = ["raw"]
kinds = ["pitch-angle"]
dpi = 50
[[instrument]]
name = "tst"
file = "tst_{{date}}_*_v{{version}}.cdf"
value = "Flux"
"""


def of_two_files(folder: Path, chunk: int) -> spectro_mpi.Run:
    """A run of two files of a day, which share the second bin."""
    (folder / "data").mkdir(parents=True)
    (folder / "spectro-mpi.toml").write_text(SETTINGS.format(chunk=chunk))
    for name, later in (("00", 0.0), ("02", 48.0)):
        given = variables()
        time = epoch("CDF_TIME_TT2000", TIME + later)
        given["Epoch"] = replace(given["Epoch"], data=time)
        write(folder / "data" / f"tst_20170101_{name}_v1.0.0.cdf", given)
    done = command("run", "spectro-mpi.toml", cwd=folder)
    assert done.code == 0, done.err
    return spectro_mpi.open_run(folder / "runs" / "day")


def test_files_of_an_item_share_their_bins_and_chunks_do_not_matter(tmp_path: Path) -> None:
    run = of_two_files(tmp_path / "a", 4096)
    stored = run.spectrogram("20170101", "tst")
    cut = np.cos(np.deg2rad(np.arange(0, 181, 30)))
    solid_angle = (cut[:-1] - cut[1:])[:, None]
    values, known = flux().astype(np.float64), flux() >= 0
    mean = (values * known * solid_angle).sum(axis=1) / (known * solid_angle).sum(axis=1)
    time, mean = np.append(TIME, TIME[4:] + 48), np.append(mean, mean[4:], axis=0)
    bins = np.floor(time / 30)
    expected = [mean[bins == number].mean(axis=0) for number in np.unique(bins)]
    np.testing.assert_allclose(stored.values[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        stored.time_start, [time[bins == b][0] - 3 for b in np.unique(bins)]
    )
    assert stored.provenance.cadence == "30 s mean"
    assert "tst: means over 30 s" in stored.notes
    assert run.xarray("20170101", "tst").attrs["cadence"] == "30 s mean"
    in_parts = of_two_files(tmp_path / "b", 5).spectrogram("20170101", "tst")
    np.testing.assert_array_equal(in_parts.values, stored.values)
    assert in_parts.provenance == stored.provenance


def test_counts_of_fast_are_summed_within_each_mode(demo: DemoSummary) -> None:
    path = max(demo.directory.glob("FAST_data/*/*/*ees*13312*.cdf"))
    file = InputPath("ees", str(path), path.stat().st_size, 1)
    data = DataSettings(quantity="counts", cadence="60 s", errors=True)
    plain = reduce_file(file, CdflibReader(path), Config(data=data))
    one = at_cadence(plain, Config(data=data))
    assert one.provenance.cadence == "60 s sum"
    bins = np.floor(plain.time / 60)
    usable = np.asarray(np.isfinite(plain.values).any(axis=(0, 2)))
    pairs = sorted({(b, m) for b, m, ok in zip(bins, plain.mode, usable, strict=True) if ok})
    kept = np.isfinite(one.values).any(axis=(0, 2))
    assert kept.sum() == len(pairs)
    number = np.floor(one.time[kept] / 60)
    rows = sorted(zip(number, one.mode[kept], np.flatnonzero(kept), strict=True))
    for (number, mode), (_, _, row) in zip(pairs, rows, strict=True):
        members = usable & (bins == number) & (plain.mode == mode)
        for cells, squared, got in (
            (plain.values, False, one.values),
            (plain.errors, True, one.errors),
        ):
            part = cells[:, members].astype(np.float64)
            blank = np.isnan(part).all(axis=1)
            total = np.sqrt(np.nansum(part**2, axis=1)) if squared else np.nansum(part, axis=1)
            expected = np.where(blank, np.nan, total)
            np.testing.assert_allclose(got[:, row], expected, rtol=1e-6 if squared else 0)


@pytest.mark.parametrize(
    ("cadence", "micros"),
    [("60 s", 60_000_000), ("250ms", 250_000), ("1.5 min", 90_000_000), ("2 h", 7_200_000_000)],
)
def test_the_units_of_a_cadence(cadence: str, micros: int) -> None:
    assert DataSettings(cadence=cadence).cadence_micros == micros


@pytest.mark.parametrize("cadence", ["60", "s", "-5 s", "0 s", "3 fortnights", "1e3 s", "1 h 30"])
def test_a_cadence_that_cannot_be_read_is_refused_by_name(cadence: str) -> None:
    with pytest.raises(SettingsError, match=rf'data\.cadence = "{cadence}": expected'):
        config_from({"data": {"cadence": cadence}}, Path("/"))


def test_events_by_record_index_need_the_records_of_the_file() -> None:
    both = "orbit,ees min Index,ees Max Index,ees Start Time,ees End Time\n8,3,5,{0},{0}\n".format(
        "2000-01-01T00:00:00Z"
    )
    (by_index,) = parse_marks(both, "x")["8"]
    (by_time,) = parse_marks(both, "x", by_index=False)["8"]
    assert (by_index.start, by_index.end) == (3, 5)
    assert by_time.start == by_time.end == 946_684_800.0
    with pytest.raises(SettingsError, match=r"line 2 .* by record index.* give its times"):
        parse_marks("orbit,instrument,start,end\n8,ees,3,5\n", "x", by_index=False)
    with pytest.raises(SettingsError, match="names no start and end"):
        parse_marks("orbit,ees min Index,ees Max Index\n8,3,5\n", "x", by_index=False)
