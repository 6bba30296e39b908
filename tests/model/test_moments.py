"""Moments: equal to an independent computation, and to what a known distribution has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.demo.tables import mode_tables
from spectro_mpi.model.channels import channel_edges
from spectro_mpi.model.distribution import Distribution, EnergyFlux
from spectro_mpi.model.ephemeris import HEMISPHERE, Variable
from spectro_mpi.model.moment_sums import MomentPlan, joined_sums, moment_sums
from spectro_mpi.model.moments import ERROR, Moments, moments_of
from tests.model import straight_moments as straight
from tests.model.straight_moments import ELECTRON, PROTON, Particle, maxwellian

SPECIES = {"electron": ELECTRON, "proton": PROTON}
ALL_ENERGIES = (0.0, 1e9)


def plan(species: str = "electron", **given: Any) -> MomentPlan:
    particle = SPECIES[species]
    made = MomentPlan(species, particle.mass, particle.charge, ALL_ENERGIES)
    return replace(made, **given)


class Table:
    """One mode of FAST: its channels, its bins, and where these look."""

    def __init__(self, mode: int, shift: float = 0.0) -> None:
        tables = mode_tables(mode)
        self.bins, self.channels = tables.nbins, tables.nenergy
        self.energy = tables.energy[0, : self.channels].astype(np.float64)
        self.denergy = tables.denergy[0, : self.channels].astype(np.float64)
        angle = (tables.theta[: self.bins, : self.channels] + shift) % 360
        self.angle = angle.astype(np.float32).astype(np.float64)
        self.width = 360 / self.bins

    def distribution(
        self,
        eflux: NDArray[Any],
        sigma: NDArray[Any] | None = None,
        potential: list[float] | None = None,
        angle: NDArray[Any] | None = None,
    ) -> Distribution:
        """Records of this mode, `eflux` (record, bin, channel)."""
        count = len(eflux)
        values = np.full((count, 64, 96), -1e31, np.float32)
        values[:, : self.bins, : self.channels] = eflux
        angles = np.full(values.shape, -1e31, np.float32)
        angles[:, : self.bins, : self.channels] = self.angle if angle is None else angle
        spread = np.zeros(values.shape, np.float32)
        spread[:, : self.bins, : self.channels] = 0 if sigma is None else sigma
        measured = np.ones((1, 1, 96), bool)
        measured[0, 0, : self.channels] = self.denergy > 0
        flux = EnergyFlux(
            values,
            angles,
            np.full((1, 1, 1), self.width, np.float32),
            measured=measured,
            sigma=None if sigma is None else lambda rows, bins, used: spread[rows, bins, used],
            potential=None if potential is None else np.array(potential),
        )
        return Distribution(
            time=np.arange(count, dtype=np.float64),
            time_start=np.arange(count, dtype=np.float64),
            time_end=np.arange(count, dtype=np.float64) + 1,
            valid=np.ones(count, bool),
            mode=np.zeros(count, np.uint8),
            nbins=np.full(count, self.bins),
            nenergy=np.full(count, self.channels),
            values=values,
            value_fill=None,
            pitch_angle=angles,
            weight=None,
            eflux=flux,
        )

    def moments(self, distribution: Distribution, plan: MomentPlan, *where: Variable) -> Moments:
        energy = np.full((1, 96), np.nan, np.float32)
        energy[0, : self.channels] = self.energy
        half = np.full((1, 96), np.nan)
        half[0, : self.channels] = np.where(self.denergy > 0, self.denergy / 2, np.nan)
        edges = channel_edges(energy, half, half, is_log=True)
        sums = moment_sums(distribution, energy, edges, plan)
        return moments_of(sums, distribution.time, where)

    def of_maxwellian(
        self,
        plan: MomentPlan,
        density: float,
        temperature: float,
        drift: float = 0.0,
        potential: float = 0.0,
    ) -> Moments:
        particle = SPECIES[plan.species]
        given = density, temperature, drift, potential
        flux = maxwellian(self.energy, self.angle, particle, *given)
        known = [potential] if potential else None
        return self.moments(self.distribution(flux[None], potential=known), plan)


def row(moments: Moments, record: int) -> dict[str, float]:
    """The moments of a record, named as in `straight_moments`."""
    found: dict[str, float] = {}
    for name, values in moments.values.items():
        base, error = name.removesuffix(ERROR), ERROR if name.endswith(ERROR) else ""
        if values.ndim == 1:
            found[name] = float(values[record])
        else:
            found |= {f"{base} {place}{error}": float(values[place, record]) for place in range(3)}
    return found


def check(found: dict[str, float], expected: dict[str, float]) -> None:
    """Differences of large numbers are compared with what they are differences of."""
    for name, value in expected.items():
        scale = abs(value)
        if name.startswith("number_flux"):
            scale = max(scale, expected["omnidirectional_flux"] if ERROR not in name else 0)
        if name.startswith("energy_flux 2") and ERROR not in name:
            scale = expected["energy_flux 0"] - expected["energy_flux 1"]
        if name == "velocity":
            scale = max(scale, expected["omnidirectional_flux"] / expected["density"] * 1e-5)
        assert found[name] == pytest.approx(value, abs=2e-5 * scale), name


@pytest.mark.parametrize("species", ["electron", "proton"])
@pytest.mark.parametrize(("mode", "shift"), [(0, 0.0), (0, 7.3), (1, 3.1), (2, 22.5)])
def test_they_are_those_of_straight_loops(species: str, mode: int, shift: float) -> None:
    random = np.random.default_rng(mode)
    table = Table(mode, shift)
    eflux = random.lognormal(12, 2, (2, table.bins, table.channels)).astype(np.float32)
    sigma = (eflux * random.uniform(0.05, 0.3, eflux.shape)).astype(np.float32)
    given = table.distribution(eflux, sigma, potential=[11.0, 0.0])
    how = plan(species, energies=(18.0, 20_000.0), scale=1.2, offset=1.0)
    moments = table.moments(given, how)
    for record, shifted in enumerate((11.0 * 1.2 + 1.0, 0.0)):
        particle = SPECIES[species]
        expected = straight.moments(
            eflux[record],
            table.angle,
            table.width,
            table.energy,
            table.denergy,
            particle,
            energies=(18.0, 20_000.0),
            shift=particle.charge * shifted,
            sigma=sigma[record],
        )
        check(row(moments, record), expected)
    np.testing.assert_array_equal(moments["potential"], np.array([11.0, np.nan], np.float32))
    np.testing.assert_allclose(moments["coverage"], 1, atol=1e-5)


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("temperature", [200.0, 500.0, 2000.0, 5000.0])
@pytest.mark.parametrize(("species", "drift"), [("electron", 0.0), ("electron", 3000.0)])
def test_a_maxwellian_has_its_density_and_temperature(
    species: str, drift: float, temperature: float, mode: int
) -> None:
    _check_maxwellian(species, drift, temperature, mode)


@pytest.mark.parametrize("mode", [0, 2])
@pytest.mark.parametrize("temperature", [200.0, 1000.0, 5000.0])
@pytest.mark.parametrize("drift", [0.0, 100.0, -200.0])
def test_so_have_protons(drift: float, temperature: float, mode: int) -> None:
    _check_maxwellian("proton", drift, temperature, mode)


def _check_maxwellian(species: str, drift: float, temperature: float, mode: int) -> None:
    table = Table(mode, shift=4.2)
    moments = table.of_maxwellian(plan(species), 2.0, temperature, drift)
    # The sweep ends at 32 keV: of 5 keV, 0.4 % of the density and 3 % of P lie above.
    cut = {"density": 1.0, "temperature": 1.0}
    if temperature == 5000.0:
        x = 32_112.6 / temperature
        below = np.linspace(0, x, 200_001)[1:]
        spectrum = np.sqrt(below) * np.exp(-below)
        n = spectrum.sum() * below[0] / (np.sqrt(np.pi) / 2)
        pressure = (spectrum * below).sum() * below[0] / (0.75 * np.sqrt(np.pi))
        cut = {"density": n, "temperature": pressure / n}
    assert moments["density"][0] == pytest.approx(2.0 * cut["density"], rel=0.01)
    expected = temperature * cut["temperature"]
    for name in ("temperature", "temperature_parallel", "temperature_perpendicular"):
        assert moments[name][0] == pytest.approx(expected, rel=0.01), name
    thermal = float(np.sqrt(temperature / SPECIES[species].mass))
    speed = drift * cut["temperature"]  # the flux is cut as the pressure is
    assert moments["velocity"][0] == pytest.approx(speed, abs=0.01 * abs(drift) + 1e-4 * thermal)
    flux = 2.0 * speed * cut["density"] * 1e5
    omnidirectional = float(moments["omnidirectional_flux"][0])
    assert moments["number_flux"][2, 0] == pytest.approx(
        flux, abs=0.01 * abs(flux) + 2e-5 * omnidirectional
    )


def test_numbers_are_those_of_an_earlier_implementation() -> None:
    # f at the bins' centres in the master's tables, all channels of denergy > 0, computed once by
    # a script of its own in double precision.
    moments = Table(0, 7.3).of_maxwellian(plan(), 1.0, 500.0, 3000.0)
    expected = {
        "density": 0.996895,
        "omnidirectional_flux": 1_517_910_000.0,
        "velocity": 2996.62,
        "temperature_parallel": 500.221,
        "temperature_perpendicular": 500.411,
        "temperature": 500.348,
    }
    for name, value in expected.items():
        assert moments[name][0] == pytest.approx(value, rel=3e-6), name
    assert moments["number_flux"][2, 0] == pytest.approx(298_732_000.0, rel=3e-6)
    assert moments["energy_flux"][2, 0] == pytest.approx(0.610568, rel=3e-6)
    some = Table(0).of_maxwellian(plan(energies=(25.0, 33_000.0)), 1.0, 500.0)
    assert some["density"][0] == pytest.approx(0.989755, rel=3e-6)


@pytest.mark.parametrize(("species", "uncorrected"), [("electron", 1.080335), ("proton", 0.902386)])
def test_a_potential_is_taken_out(species: str, uncorrected: float) -> None:
    table = Table(2)
    right = table.of_maxwellian(plan(species), 1.0, 200.0, potential=20.0)
    wrong = table.of_maxwellian(plan(species, scale=0.0), 1.0, 200.0, potential=20.0)
    # Ions below the energy that they gain cannot be seen.
    expected = {"electron": 0.999345, "proton": 0.970345}[species]
    assert right["density"][0] == pytest.approx(expected, rel=3e-6)
    assert wrong["density"][0] == pytest.approx(uncorrected, rel=3e-6)
    assert right["potential"][0] == 20.0


def test_a_negative_potential_is_the_other_way_round() -> None:
    table = Table(2)
    for species in SPECIES:
        moments = table.of_maxwellian(plan(species), 1.0, 500.0, potential=-15.0)
        assert moments["density"][0] == pytest.approx(1.0, rel=0.02)
        assert moments["temperature"][0] == pytest.approx(500.0, rel=0.01)


def test_a_record_without_potential_is_not_shifted() -> None:
    table = Table(0)
    flux = np.stack([maxwellian(table.energy, table.angle, ELECTRON, 1.0, 300.0)] * 3)
    given = table.distribution(flux, potential=[np.nan, 0.0, 5.0])
    moments = table.moments(given, plan(offset=2.0))
    without = table.moments(table.distribution(flux), plan(offset=2.0))
    np.testing.assert_array_equal(moments["density"][:2], without["density"][:2])
    assert moments["density"][2] < 0.99 * without["density"][2]
    assert "potential" not in without


def test_the_flux_into_a_cone_is_that_of_the_cone() -> None:
    table = Table(1)
    folded = np.minimum(table.angle, 360 - table.angle)
    cone = 90 / 16 * 3.5  # an edge of bins of 5.625°
    flux = maxwellian(table.energy, table.angle, ELECTRON, 1.0, 500.0) * (folded < cone)
    moments = table.moments(table.distribution(flux[None]), plan())
    thermal = np.sqrt(500.0 / ELECTRON.mass / (2 * np.pi)) * 1e5
    down, up, net = moments["number_flux"][:, 0]
    assert down == pytest.approx(thermal * np.sin(np.radians(cone)) ** 2, rel=0.05)
    assert up == 0
    assert net == down


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_empty_loss_cone_is_a_net_flux(sign: float) -> None:
    table = Table(1)
    folded = np.minimum(table.angle, 360 - table.angle)
    empty = folded > 150 if sign > 0 else folded < 30
    flux = maxwellian(table.energy, table.angle, ELECTRON, 1.0, 500.0) * ~empty
    moments = table.moments(table.distribution(flux[None]), plan())
    assert sign * moments["number_flux"][2, 0] > 0.2 * abs(moments["number_flux"][0, 0])
    assert sign * moments["energy_flux"][2, 0] > 0


def test_an_axis_of_half_a_circle_counts_each_bin_twice() -> None:
    table = Table(0)
    middle = 11.25 * (np.arange(16) + 0.5)
    table.bins, table.angle = 16, np.repeat(middle[:, None], table.channels, axis=1)
    flux = maxwellian(table.energy, table.angle, ELECTRON, 1.0, 500.0, 2000.0)
    given = table.distribution(flux[None])
    assert given.eflux is not None
    half = replace(given, eflux=replace(given.eflux, width=np.full((1, 1, 1), 11.25), passes=1))
    moments = table.moments(half, plan())
    assert moments["density"][0] == pytest.approx(1.0, rel=0.01)
    assert moments["velocity"][0] == pytest.approx(2000.0, rel=0.01)
    # Taken for a circle, half of it is missing.
    circle = replace(given, eflux=replace(given.eflux, width=np.full((1, 1, 1), 11.25)))
    assert np.isnan(table.moments(circle, plan())["density"][0])


def test_counting_statistics_scatter_as_the_uncertainties_say() -> None:
    random = np.random.default_rng(3)
    table, draws = Table(0, 5.0), 600
    true = maxwellian(table.energy, table.angle, ELECTRON, 1.0, 800.0, 4000.0)
    per_count = true.max() / 400
    counts = random.poisson(true / per_count, (draws, *true.shape))
    sigma = np.sqrt(np.maximum(counts, 1)) * per_count
    how = plan(energies=(200.0, 5000.0))
    moments = table.moments(table.distribution(counts * per_count, sigma), how)
    without = table.moments(table.distribution(true[None]), how)
    for name, values in moments.values.items():
        if name.endswith(ERROR) or name == "coverage":
            continue
        of = moments[name + ERROR]
        for found, error, right in zip(
            np.atleast_2d(values),
            np.atleast_2d(of),
            np.atleast_2d(without[name])[:, 0],
            strict=True,
        ):
            pulls = (found - right) / error
            assert 0.9 < pulls.std() < 1.1, name
            assert abs(pulls.mean()) < 0.2, name


def test_fluxes_are_positive_toward_earth() -> None:
    table = Table(0)
    flux = np.stack([maxwellian(table.energy, table.angle, ELECTRON, 1.0, 500.0, 3000.0)] * 3)
    given = table.distribution(flux, sigma=0.1 * flux)
    along = table.moments(given, plan())
    assert along.positive == "along B"
    assert along.directions == ("parallel", "antiparallel", "net")
    where = [
        Variable(HEMISPHERE, np.array([1, -1, np.nan], np.float32)),
        Variable("alt", np.array([4175, 4175, 4175], np.float32)),
        Variable("ilat", np.array([70, -70, np.nan], np.float32)),
    ]
    moments = table.moments(given, plan(), *where)
    assert moments.positive == "earthward"
    assert moments.directions == ("down", "up", "net")
    for name in ("number_flux", "energy_flux"):
        for suffix in ("", ERROR):
            first, last, both = along[name + suffix][:, 0]
            sign = -1 if not suffix else 1
            found = moments[name + suffix]
            np.testing.assert_array_equal(found[:, 0], [first, last, both])
            np.testing.assert_array_equal(found[:, 1], [sign * last, sign * first, sign * both])
            assert np.isnan(found[:, 2]).all()
            mapped = moments[name + "_100km" + suffix]
            np.testing.assert_allclose(mapped[:, :2], 4.46828 * found[:, :2], rtol=1e-5)
    np.testing.assert_array_equal(
        moments["velocity"], along["velocity"] * np.array([1, -1, np.nan], np.float32)
    )
    np.testing.assert_array_equal(moments["density"], along["density"])
    only = table.moments(given, plan(), where[0])
    assert "number_flux_100km" not in only


def test_cells_that_are_missing_do_not_count() -> None:
    random = np.random.default_rng(5)
    table = Table(0, 2.0)
    eflux = random.lognormal(12, 1, (4, table.bins, table.channels)).astype(np.float32)
    sigma = 0.1 * eflux
    angle = np.stack([table.angle] * 4).astype(np.float32)
    lost = random.random(eflux.shape) < 0.03
    holes = [eflux.copy(), angle.copy()]
    holes[0][0][lost[0]] = -1e31
    holes[0][1][lost[1]] = np.nan
    holes[1][2][lost[2]] = -1e31
    holes[0][3, 5:20] = np.inf  # too much of it
    moments = table.moments(table.distribution(holes[0], sigma, angle=holes[1]), plan())
    for record in range(3):
        expected = straight.moments(
            np.where(lost[record], np.nan, eflux[record]),
            table.angle,
            table.width,
            table.energy,
            table.denergy,
            ELECTRON,
            sigma=sigma[record],
        )
        check(row(moments, record), expected)
    assert ((moments["coverage"][:3] > 0.94) & (moments["coverage"][:3] < 0.99)).all()
    assert moments["coverage"][3] < 0.9
    assert all(np.isnan(row(moments, 3)[name]) for name in row(moments, 3) if name != "coverage")


def test_what_other_records_miss_does_not_matter() -> None:
    random = np.random.default_rng(6)
    table = Table(0, 2.0)
    eflux = random.lognormal(12, 1, (3, table.bins, table.channels)).astype(np.float32)
    alone = table.moments(table.distribution(eflux[:1], 0.1 * eflux[:1]), plan())
    eflux[1, 4, 20] = -1e31
    beside = table.moments(table.distribution(eflux, 0.1 * eflux), plan())
    for name, values in alone.values.items():
        np.testing.assert_array_equal(beside[name][..., :1], values, err_msg=name)


def test_unknown_uncertainties_are_nan_and_the_values_are_not() -> None:
    table = Table(0)
    flux = np.stack([maxwellian(table.energy, table.angle, ELECTRON, 1.0, 500.0)] * 2)
    sigma = 0.1 * flux
    sigma[1, 3, 20] = np.nan
    sigma[0, 3, 47] = np.nan  # 5.88 eV, which is not summed
    moments = table.moments(table.distribution(flux, sigma), plan(energies=(25.0, 40_000.0)))
    assert np.isfinite(moments["density"]).all()
    np.testing.assert_array_equal(np.isfinite(moments["density_error"]), [True, False])
    np.testing.assert_array_equal(np.isfinite(moments["temperature_error"]), [True, False])


def test_records_of_no_use_have_none() -> None:
    table = Table(0)
    flux = np.stack([maxwellian(table.energy, table.angle, ELECTRON, 1.0, 500.0)] * 5)
    flux[4] = 0
    given = table.distribution(flux)
    given = replace(
        given,
        valid=np.array([True, False, True, True, True]),
        mode=np.array([0, 0, 7, 0, 0], np.uint8),
        nbins=np.array([32, 32, 32, 0, 32]),
    )
    moments = table.moments(given, plan())
    np.testing.assert_array_equal(
        np.isfinite(moments["density"]), [True, False, False, False, True]
    )
    assert moments["density"][4] == 0
    assert np.isnan(moments["temperature"][4])
    assert np.isnan(moments["velocity"][4])


def test_one_channel_is_enough() -> None:
    table = Table(0)
    flux = maxwellian(table.energy, table.angle, PROTON, 1.0, 500.0)[None]
    moments = table.moments(table.distribution(flux), plan("proton", energies=(470.0, 471.0)))
    place = int(np.argmin(np.abs(table.energy - 470.4)))
    energy, width = table.energy[place], table.denergy[place]
    omni = 4 * np.pi * flux[0, 0, place] * width / energy
    assert moments["omnidirectional_flux"][0] == pytest.approx(omni, rel=1e-5)
    assert moments["temperature"][0] == pytest.approx(2 * energy / 3, rel=1e-5)
    none = table.moments(table.distribution(flux), plan("proton", energies=(471.0, 472.0)))
    assert np.isnan(none["density"][0])


def test_files_are_joined_record_by_record() -> None:
    table = Table(0)
    flux = np.stack(
        [maxwellian(table.energy, table.angle, ELECTRON, n, 500.0) for n in (1.0, 2.0, 3.0)]
    )
    energy = np.full((1, 96), np.nan, np.float32)
    energy[0, : table.channels] = table.energy
    edges = channel_edges(energy, is_log=True)
    given = table.distribution(flux, 0.1 * flux, potential=[1.0, 2.0, 3.0])
    sums = moment_sums(given, energy, edges, plan())
    keep = np.array([True, False, True])
    both = joined_sums([sums, sums], [np.ones(3, bool), keep])
    assert both is not None
    for array, of_each in zip(both.arrays, sums.arrays, strict=True):
        np.testing.assert_array_equal(array, np.concatenate([of_each, of_each[keep]]))
    assert joined_sums([sums, None], [keep, keep]) is None
    plain = moment_sums(table.distribution(flux), energy, edges, plan())
    mixed = joined_sums([sums, plain], [keep, keep])
    assert mixed is not None
    assert (len(mixed.values), len(mixed.covariances), len(mixed.potential)) == (4, 0, 0)


def test_particles_are_those_of_the_settings() -> None:
    from spectro_mpi.settings.moments import SPECIES as SET

    for name, particle in SPECIES.items():
        assert Particle(SET[name].mass, SET[name].charge) == particle
    ratio = SET["oxygen"].mass / SET["proton"].mass
    assert ratio == pytest.approx(15.994 / 1.00728, rel=1e-3)
