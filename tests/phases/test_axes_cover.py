"""No figure leaves data out without a word: its axes cover all that is measured, or it says so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spectro_mpi.rundir.reader import open_run
from tests.conftest import NO_REPORT, spectro_mpi
from tests.istp_files import ENERGY, TIME, Variable, epoch, flux, variables, with_energies, write

Given = dict[str, Variable]


def flat(given: Given, data: np.ndarray[Any, Any]) -> Given:
    """A flux without angles."""
    kept = {key: text for key, text in given["Flux"].attributes.items() if key != "DEPEND_2"}
    value = Variable("Flux", data.astype(np.float32), {**kept, "DEPEND_1": "Energy"})
    return {**given, "Flux": value}


def with_records(given: Given, time: np.ndarray[Any, Any]) -> Given:
    return {**given, "Epoch": replace(given["Epoch"], data=epoch("CDF_TIME_TT2000", time))}


def rare_at_the_top(given: Given) -> Given:
    """One value in 800 is above the channels that the energy coverage asks for."""
    data = np.full((200, 5), 7.0)
    data[:, 0] = 0
    data[4, 0] = 3
    return flat(with_records(given, TIME[0] + 6.0 * np.arange(200)), data)


def zeros_below(given: Given) -> Given:
    """Only one channel counts."""
    data = np.zeros((12, 5))
    data[:, 2] = 7
    return flat(given, data)


def linear_both_signs(given: Given) -> Given:
    given = flat(given, np.linspace(-5, 20, 60).reshape(12, 5))
    value = given["Flux"]
    kept = {key: text for key, text in value.attributes.items() if not key.startswith("VALID")}
    return {**given, "Flux": replace(value, attributes={**kept, "SCALETYP": "linear"})}


def axis_from_below_zero(given: Given) -> Given:
    energy = replace(given["Energy"], data=np.array([-4, -2, 0, 2, 4], np.float32))
    return flat({**given, "Energy": energy}, np.abs(flux()[:, 0]))


def far_record(given: Given) -> Given:
    """One of 24 records is two months away."""
    time = TIME[0] + 6.0 * np.arange(24)
    time[7] += 60 * 86400
    return flat(with_records(given, time), np.full((24, 5), 4))


KINDS: dict[str, Callable[[Given], Given]] = {
    "plain": lambda given: given,
    "energies by record": lambda given: with_energies(
        given, np.array([ENERGY * (1 + record / 10) for record in range(12)])
    ),
    "energies missing": lambda given: with_energies(
        given, np.where(np.arange(5) == 1, -1e31, ENERGY).astype(np.float32)
    ),
    "rare at the top": rare_at_the_top,
    "zeros below": zeros_below,
    "linear, both signs": linear_both_signs,
    "axis from below 0": axis_from_below_zero,
    "far record": far_record,
}


@pytest.mark.parametrize("limits", ["given_extrema", "raw"])
@pytest.mark.parametrize("kind", KINDS)
def test_axes_cover_what_is_measured_or_the_title_says_what_not(
    tmp_path: Path, kind: str, limits: str
) -> None:
    write(tmp_path / "tst_20170101_v1.cdf", KINDS[kind](variables()))
    (tmp_path / "spectro-mpi.toml").write_text(
        'run_id = "r"\ninput = "."\n[data]\npreset = "istp"\n'
        f'[plot]\nlimits = ["{limits}"]\nkinds = ["pitch-angle"]\n{NO_REPORT}'
        '[run]\nisolation = "none"\n'
        '[[instrument]]\nname = "ions"\nfile = "tst_{date}_v{version}.cdf"\nvalue = "Flux"\n'
    )
    done = spectro_mpi("run", tmp_path / "spectro-mpi.toml", "--no-progress")
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "r")
    spectrogram = run.spectrogram("20170101", "ions")
    (picture,) = run.path.glob("plots/*/*/*/*spectrogram_ions*.png")
    about = json.loads(Image.open(picture).text["spectro-mpi"])  # type: ignore[attr-defined]
    panel, notes = about["panels"][0], " ".join(about.get("notes", []))
    finite = np.isfinite(spectrogram.values[0])
    start, end = panel["time"]
    stray = ((spectrogram.time < start) | (spectrogram.time > end)) & finite.any(axis=1)
    assert bool(stray.any()) == ("left out" in notes), notes
    low, high = panel["energy"]
    energy = spectrogram.energy[spectrogram.mode]
    undrawn = finite & (energy <= 0) & (panel["y_scale"] == "log")
    outside = finite & ((energy < low) | (energy > high)) & ~undrawn
    for cells, said in (
        (outside, r"outside of the axis: ions (\d+)"),
        (undrawn, r"(\d+) channels? at or below 0"),
    ):
        count = int(cells.any(axis=0).sum())
        match = re.search(said, notes)
        assert count == (int(match[1]) if match else 0), notes
    if kind in ("rare at the top", "zeros below"):
        assert outside.any()
