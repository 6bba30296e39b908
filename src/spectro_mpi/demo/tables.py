"""The calibration tables of the FAST electrostatic analysers, by instrument and mode.

The values are those of NASA's master file (orbit 7595, electron burst); `theta` is computed by
the rule of that file. Ions use the tables of electrons, because no ion master is published.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float32]

FILL = np.float32(-1e31)
BINS, CHANNELS = 64, 96  # size of a record; a mode uses part of it


@dataclass(frozen=True)
class Instrument:
    """One of FAST's four ESA data products."""

    name: str  # as in file names
    species: str  # "Electron" or "Ion"
    rate: str  # "Survey" or "Burst"

    @property
    def burst(self) -> bool:
        return self.rate == "Burst"

    @property
    def electrons(self) -> bool:
        return self.species == "Electron"

    @property
    def data_name(self) -> str:
        return f"{self.species[0]}esa {self.rate}"

    @property
    def table_bins(self) -> int:
        """Number of angle bins in the tables; only survey files have the 64-bin mode."""
        return 32 if self.burst else 64


INSTRUMENTS = {
    "ees": Instrument("ees", "Electron", "Survey"),
    "eeb": Instrument("eeb", "Electron", "Burst"),
    "ies": Instrument("ies", "Ion", "Survey"),
    "ieb": Instrument("ieb", "Ion", "Burst"),
}


@dataclass(frozen=True)
class Mode:
    """The energies and angles of one `mode_ind`.

    The tables are float32, shape (BINS, CHANNELS), FILL beyond `nbins` and `nenergy`.
    """

    index: int
    nbins: int
    nenergy: int
    sweep: float  # s, of one energy sweep in burst
    geom_factor: np.float32  # cm² sr eV/eV of one bin
    energy: Table  # eV, descending along the channels
    denergy: Table  # eV
    theta: Table  # degrees, [0, 360)
    dtheta: Table  # degrees
    domega: Table  # sr
    eff: Table  # detection efficiency; 0 where unused
    gf: Table  # relative response of a bin; 0 where unused

    @property
    def response(self) -> Table:
        """Effective geometric factor, (nbins, nenergy), float32, in cm² sr eV/eV."""
        used = np.s_[: self.nbins, : self.nenergy]
        response: Table = self.geom_factor * self.gf[used] * self.eff[used]
        return response


@lru_cache
def mode_tables(index: int) -> Mode:
    """Return the tables of mode 0 (48 energies × 32 angles), 1 (48 × 64) or 2 (96 × 32)."""
    nbins = 64 if index == 1 else 32
    nenergy = 96 if index == 2 else 48
    energies = "2" if index == 2 else "0"  # mode 1 has the energies of mode 0
    measured = master()["tables"]
    width = 360.0 / nbins
    theta = _theta(first=337.5 if index == 2 else 112.5, nbins=nbins, nenergy=nenergy)
    # All modes share the 32 known responses: with 64 bins, each is used twice.
    gf = np.tile(np.array(measured["gf"]), nbins // 32)
    return Mode(
        index=index,
        nbins=nbins,
        nenergy=nenergy,
        sweep=0.0780375 * nenergy / 48,
        geom_factor=np.float32(0.000147 * 32 / nbins),
        energy=_padded(nbins, np.array(measured["energy"][energies])),
        denergy=_padded(nbins, np.array(measured["denergy"][energies])),
        theta=_padded(nbins, theta),
        dtheta=_padded(nbins, np.full(nenergy, width)),
        domega=_padded(nbins, _solid_angle(np.deg2rad(theta), np.deg2rad(width))),
        eff=_padded(nbins, np.array(measured["eff"][energies]), unused=0.0),
        gf=_padded(nbins, np.tile(gf[:, None], nenergy), unused=0.0),
    )


@lru_cache
def master() -> dict[str, Any]:
    """Return the content of master.json, NASA's master file as JSON (see scripts/)."""
    text = resources.files(__package__).joinpath("master.json").read_text(encoding="utf-8")
    described: dict[str, Any] = json.loads(text)
    return described


def _theta(first: float, nbins: int, nenergy: int) -> npt.NDArray[np.float64]:
    """Return bin angles in degrees, [0, 360): the spacecraft spins during an energy sweep."""
    bins, channels = np.ogrid[:nbins, :nenergy]
    exact = (first - 360.0 / nbins * bins + 0.1171875 * channels) % 360.0
    # The tables of the archive have six significant digits.
    return np.array([float(f"{angle:.6g}") for angle in exact.flat]).reshape(exact.shape)


def _solid_angle(theta: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.float64]:
    """Return the solid angles in sr of bins at gyrotropic pitch angles `theta`, 0 to 2π rad.

    As in level 2, they are computed from the unshifted angles, so that they depend on the mode
    only; each pitch angle occurs twice, and the bins of one sweep add up to 4π.
    """
    from_axis = np.abs((theta + np.pi / 2) % np.pi - np.pi / 2)
    across_axis = np.pi * (2 - np.cos(width / 2 - from_axis) - np.cos(width / 2 + from_axis))
    beside_axis = 2 * np.pi * np.abs(np.sin(theta)) * np.sin(width / 2)
    return np.where(from_axis < width / 2, across_axis, beside_axis)


def _padded(nbins: int, values: npt.NDArray[np.float64], unused: float = -1e31) -> Table:
    table = np.full((BINS, CHANNELS), unused, dtype=np.float32)
    table[:nbins, : values.shape[-1]] = values
    table.flags.writeable = False
    return table
