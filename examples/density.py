"""A phase: the density of the particles each instrument measures, from differential energy flux.

    phases = ["reduce", "density.py:Density", "plot"]
    data.quantity = "eflux"

With differential energy flux j_E (eV / cm² s sr eV) of particles of speed v = sqrt(2 E / m)

    n = ∫ f d³v = ∫ dΩ ∫ j_E / (E v) dE = 4π ∫ <j_E> / v d(ln E)

where <j_E> is the mean over the sphere, which is what category `all` holds (G. Paschmann, A. N.
Fazakerley and S. J. Schwartz, Moments of plasma velocity distributions, chapter 6 of Analysis
Methods for Multi-Spacecraft Data, ISSI Scientific Report SR-001, 1998).

Limitations: it sums only the measured channels, takes all ions for protons, and does not correct
for the spacecraft potential, so photoelectrons are included. Counts cannot replace the energy flux:
the geometric factor, efficiencies and accumulation times that convert one to the other are not in
the reduced data. The pipeline refuses counts, because `needs` asks for `eflux`.
"""

import numpy as np
from numpy.typing import NDArray

from spectro_mpi import Artifact, Context, Inputs, Item, Outputs, Phase

DENSITY = Artifact(
    "density", dataset="density", dims=("time",), units="cm-3", long_name="Partial density"
)
LIGHT = 2.99792458e10
"""Speed of light, cm/s."""
REST_ENERGY = {"e": 510_998.95, "i": 938_272_088.0}
"""m c² of electron and proton, eV, by the first letter of the instrument."""


class Density(Phase):
    name = "density"
    needs = (Artifact("spectrograms", dataset="eflux"),)
    gives = (DENSITY,)

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        outputs = Outputs()
        for instrument, one in inputs["spectrograms"].items():
            context.status(instrument)
            with context.boundary(instrument):
                # The table of energies changes within a file; a mode without a table is no energy.
                tables = np.vstack([one.energy, np.full_like(one.energy[:1], np.nan)])
                energy = tables[np.minimum(one.mode, len(one.energy))]
                flux = one.values[one.category.index("all")]
                values = density(energy, flux, REST_ENERGY[instrument[0]])
                outputs.put(DENSITY, values, instrument, {"time": one.time})
        return outputs


def density(
    energy: NDArray[np.floating], flux: NDArray[np.floating], rest_energy: float
) -> NDArray[np.float64]:
    """Density of each record, cm⁻³: (record, channel) eV and eV/(cm² s sr eV) → (record,)."""
    energy = energy.astype(np.float64)
    per_log_energy = flux / (LIGHT * np.sqrt(2 * energy / rest_energy))
    steps = np.abs(np.diff(np.log(energy), axis=1))
    parts = steps * (per_log_energy[:, 1:] + per_log_energy[:, :-1]) / 2
    total = 4 * np.pi * np.nansum(parts, axis=1)
    return np.where(np.isfinite(parts).any(axis=1), total, np.nan)
