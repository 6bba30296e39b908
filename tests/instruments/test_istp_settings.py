"""What `[[instrument]]` supplies: energies as numbers, names with places, a master CDF."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdflibReader, PycdfppReader
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.digests import reduction_digest
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.loading import config_from, load_config, load_frozen
from spectro_mpi.settings.schema import SettingsError
from tests.conftest import NO_REPORT, spectro_mpi
from tests.instruments.test_istp import TABLE, config_of, expected, reduced
from tests.istp_files import (
    CHANNELS,
    ENERGY,
    Variable,
    flux,
    variables,
    with_energy_first,
    write,
)

NUMBERS = (250.0, 120.0, 60.0, 31.0, 9.0)
"""Centres that the file does not have, in its order."""


def without_energies(given: dict[str, Variable]) -> dict[str, Variable]:
    """The variables, with only a number of steps along the energy axis."""
    steps = Variable("Step", np.arange(CHANNELS, dtype=np.float32), {"UNITS": " "}, varies=False)
    value = given["Flux"]
    axes = {
        key: name.replace("Energy", "Step")
        for key, name in value.attributes.items()
        if key.startswith("DEPEND")
    }
    kept = {name: one for name, one in given.items() if name != "Energy"}
    return {**kept, "Step": steps, "Flux": replace(value, attributes=value.attributes | axes)}


@pytest.mark.parametrize("energy_first", [False, True])
def test_centres_as_numbers_are_the_channels_in_the_order_of_the_file(
    tmp_path: Path, energy_first: bool
) -> None:
    given = with_energy_first(variables()) if energy_first else variables()
    path = write(tmp_path / "x.cdf", without_energies(given))
    with pytest.raises(InvalidCdfError, match="no axis in units of energy"):
        reduced(path)
    one = reduced(path, replace(TABLE, energy=NUMBERS, energy_units="keV"))
    assert one.legend.axis_units == "eV"
    np.testing.assert_allclose(one.energy, [1e3 * np.array(NUMBERS)], rtol=1e-6)
    np.testing.assert_allclose(one.values[0], expected(), rtol=1e-6)
    inner = 1e3 * np.sqrt(np.array(NUMBERS[:-1]) * NUMBERS[1:])
    np.testing.assert_allclose(one.edges[0, :-1, 0], inner, rtol=1e-6)
    np.testing.assert_allclose(one.edges[0, 1:, 1], inner, rtol=1e-6)


def test_numbers_without_a_unit_are_ev(tmp_path: Path) -> None:
    one = reduced(write(tmp_path / "x.cdf", variables()), replace(TABLE, energy=NUMBERS))
    np.testing.assert_allclose(one.energy, [NUMBERS], rtol=1e-6)
    assert (one.legend.axis, one.legend.axis_units) == ("energy", "eV")


def test_edges_as_numbers_are_kept_with_the_gaps_between_them(tmp_path: Path) -> None:
    path = write(tmp_path / "x.cdf", without_energies(variables()))
    border = [1.0, 3.0, 5.0, 11.0, 20.0, 70.0]
    one = reduced(path, replace(TABLE, energy_edges=tuple(border), energy_units="MeV"))
    np.testing.assert_allclose(one.edges[0, :, 0], 1e6 * np.array(border[:-1]), rtol=1e-6)
    np.testing.assert_allclose(one.edges[0, :, 1], 1e6 * np.array(border[1:]), rtol=1e-6)
    middle = np.sqrt(np.array(border[:-1]) * border[1:])
    np.testing.assert_allclose(one.energy, [1e6 * middle], rtol=1e-6)
    pairs = ((80.0, 70.0), (60.0, 50.0), (40.0, 30.0), (20.0, 10.0), (9.0, 0.0))
    centres = (72.0, 58.0, 33.0, 12.0, 2.0)
    two = reduced(path, replace(TABLE, energy=centres, energy_edges=pairs, energy_units="kHz"))
    np.testing.assert_allclose(two.edges[0], 1e3 * np.sort(np.array(pairs)), rtol=1e-6)
    np.testing.assert_allclose(two.energy, [1e3 * np.array(centres)], rtol=1e-6)
    assert (two.legend.axis, two.legend.axis_units) == ("frequency", "Hz")


def test_a_wrong_number_of_energies_is_refused_with_the_sizes(tmp_path: Path) -> None:
    path = write(tmp_path / "x.cdf", variables())
    with pytest.raises(InvalidCdfError, match=r"numbers for 4 channels, but the axes of Flux have"):
        reduced(path, replace(TABLE, energy=NUMBERS[:4]))
    with pytest.raises(InvalidCdfError, match="axis 1 of Flux"):
        reduced(path, replace(TABLE, energy=NUMBERS, energy_axis=1))


def test_of_axes_of_equal_size_that_of_energy_has_the_numbers(tmp_path: Path) -> None:
    given = variables()
    square = flux()[:, :CHANNELS]
    given["Pitch"] = replace(given["Pitch"], data=given["Pitch"].data[:CHANNELS])
    given["Flux"] = replace(given["Flux"], data=square)
    table = replace(TABLE, energy=NUMBERS, angles=1)
    path = write(tmp_path / "x.cdf", given)
    measured = np.where(square < 0, np.nan, square)
    np.testing.assert_array_equal(reduced(path, table).values[0], measured[:, 1])
    unclear = write(tmp_path / "y.cdf", without_energies(given))
    with pytest.raises(InvalidCdfError, match="set `energy_axis` too"):
        reduced(unclear, table)
    chosen = reduced(unclear, replace(table, energy_axis=1))
    np.testing.assert_array_equal(chosen.values[0], measured[:, :, 1])


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"energy": [1, 2, 2]}, "energy: the numbers must ascend or descend"),
        ({"energy": [3, -1]}, "energy: -1 is negative"),
        ({"energy": ["a"]}, r'energy = \["a"\]: expected the name of a variable, or numbers'),
        ({"energy": []}, "expected the name of a variable, or numbers"),
        ({"energy_edges": [4]}, "expected at least 2 numbers"),
        ({"energy_edges": [1, 3, 2]}, "energy_edges: the numbers must ascend or descend"),
        ({"energy_edges": [[1, 1], [2, 3]]}, r"\[1, 1\] has no width"),
        ({"energy_edges": [[1, 2], 3]}, "or pairs such as"),
        ({"energy": [1, 2], "energy_edges": [0, 1.5]}, "expected 3 edges or 2 pairs"),
        ({"energy": [1, 4], "energy_edges": [0, 2, 3]}, "energy = 4 is not between its edges"),
        ({"energy": "E", "energy_edges": [1, 2]}, 'cannot be set with energy = "E"'),
        ({"value": "{craft}_flux"}, r"has no \{craft\}; it has \{sc\}, \{date\}"),
        ({"time": "Epoch_{sc"}, "has a brace that does not belong"),
        ({"master": "none.cdf"}, 'master = "none.cdf" cannot be read: No such file'),
    ],
    ids=str,
)
def test_mistakes_have_one_sentence(tmp_path: Path, keys: dict[str, Any], sentence: str) -> None:
    table = {"name": "a", "file": "tst_{sc}_{date}.cdf", "value": "Flux", **keys}
    with pytest.raises(SettingsError, match=sentence) as caught:
        config_from({"data": {"preset": "istp"}, "instrument": [table]}, tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_places_of_the_pattern_name_variables(tmp_path: Path) -> None:
    """Two spacecraft in one run, whose variables begin with their names, in other letters."""
    for craft, factor in (("A", 1), ("b", 2)):
        given = variables()
        named = {
            f"{craft.lower()}_{name.lower()}_v2": replace(
                one,
                name=f"{craft.lower()}_{name.lower()}_v2",
                attributes={
                    key: f"{craft.lower()}_{text.lower()}_v2" if key.startswith("DEPEND") else text
                    for key, text in one.attributes.items()
                },
            )
            for name, one in given.items()
        }
        value = named[f"{craft.lower()}_flux_v2"]
        data = np.where(value.data > 0, factor * value.data, value.data).astype(np.float32)
        named[value.name] = replace(value, data=data)
        write(tmp_path / f"tst_{craft}_20170101_v2.cdf", named)
    (tmp_path / "spectro-mpi.toml").write_text(
        f"""run_id = "r"
input = "."
[data]
preset = "istp"
[plot]
dpi = 40
[[instrument]]
name = "ions"
file = "tst_{{sc}}_{{date}}_v{{version}}.cdf"
value = "{{sc}}_flux_v{{version}}"
energy = "{{sc}}_energy_v{{version}}"
pitch_angle = "{{sc}}_pitch_v2"
{NO_REPORT}"""
    )
    done = spectro_mpi("run", "--no-progress", cwd=tmp_path)
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "r")
    assert run.items == ["A_20170101", "b_20170101"]
    first, second = (run.spectrogram(item, "ions") for item in run.items)
    assert first.quantity == second.quantity == "flux_v"
    np.testing.assert_allclose(first.values[0], expected(), rtol=1e-6)
    np.testing.assert_allclose(second.values[0], 2 * first.values[0], rtol=1e-6)


def bare(given: dict[str, Variable]) -> dict[str, Variable]:
    """The measured variables, without any attributes."""
    names = ("Epoch", "Flux")
    return {name: replace(given[name], attributes={}) for name in names}


def master_of(given: dict[str, Variable]) -> dict[str, Variable]:
    """All attributes, the tables of energies and pitch angles, and no records."""
    return {
        name: replace(one, data=one.data[:0]) if one.varies else one for name, one in given.items()
    }


@pytest.mark.parametrize("reader", [CdflibReader, PycdfppReader])
def test_a_master_supplies_what_a_file_lacks(tmp_path: Path, reader: Any) -> None:
    path = write(tmp_path / "tst_20170101_v1.cdf", bare(variables()), source="")
    master = write(tmp_path / "master.cdf", master_of(variables()))
    with pytest.raises(InvalidCdfError, match="no attribute DEPEND_0"):
        reduced(path, TABLE, reader)
    one = reduced(path, replace(TABLE, master=str(master)), reader)
    whole = reduced(write(tmp_path / "whole.cdf", variables()), TABLE, reader)
    np.testing.assert_array_equal(one.values, whole.values)
    np.testing.assert_array_equal(one.energy, whole.energy)
    np.testing.assert_array_equal(one.edges, whole.edges)
    assert one.legend == whole.legend


def test_the_file_has_the_say_over_its_master(tmp_path: Path) -> None:
    given = variables()
    master = write(tmp_path / "master.cdf", master_of(given))
    own = {"UNITS": "counts", "LABLAXIS": "", "VALIDMAX": np.float32(20)}
    partly = bare(given)
    partly["Flux"] = replace(partly["Flux"], attributes=own)
    partly["Energy"] = replace(given["Energy"], data=ENERGY / 2, attributes={})
    path = write(tmp_path / "tst_20170101_v1.cdf", partly)
    one = reduced(path, replace(TABLE, master=str(master), angles=0))
    np.testing.assert_allclose(one.energy, [500 * ENERGY])
    values = flux()[:, 0]
    np.testing.assert_array_equal(one.values[0], np.where(values > 20, np.nan, values))
    assert one.legend.units == "counts"
    assert one.legend.label == "Proton flux"


def test_a_master_may_move_but_not_change(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    write(data / "tst_20170101_v1.cdf", bare(variables()))
    master = write(tmp_path / "tst_00000000_v1.cdf", master_of(variables()))
    settings = tmp_path / "spectro-mpi.toml"

    def run(place: str) -> tuple[int, str]:
        settings.write_text(
            f'run_id = "r"\ninput = "data"\n[data]\npreset = "istp"\n[plot]\ndpi = 40\n{NO_REPORT}'
            f'[[instrument]]\nname = "ions"\nfile = "tst_{{date}}_v{{version}}.cdf"\n'
            f'value = "Flux"\nmaster = "{place}"\n'
        )
        done = spectro_mpi("run", "--no-progress", cwd=tmp_path)
        return done.code, done.err

    assert run("tst_00000000_v1.cdf") == (0, "")
    frozen = load_frozen(tmp_path / "runs" / "r" / "config.toml")
    assert frozen.instrument[0].master == str(master)
    before = reduction_digest(load_config(settings))
    master.rename(elsewhere / "other.cdf")
    assert load_frozen(tmp_path / "runs" / "r" / "config.toml") == frozen
    assert run("elsewhere/other.cdf") == (0, "")
    assert reduction_digest(load_config(settings)) == before
    changed = variables()
    changed["Energy"] = replace(changed["Energy"], data=3 * ENERGY)
    write(elsewhere / "other.cdf", master_of(changed))
    assert reduction_digest(load_config(settings)) != before
    code, message = run("elsewhere/other.cdf")
    assert code == 2
    assert "instrument.ions.master_sha256" in message


def test_a_master_that_changes_during_a_run_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "tst_20170101_v1.cdf", bare(variables()))
    master = write(tmp_path / "master.cdf", master_of(variables()))
    table = replace(TABLE, master=str(master), master_sha256="0" * 64)
    with pytest.raises(InvalidCdfError, match="this master was changed"):
        reduced(path, table)
    with pytest.raises(InvalidCdfError, match="this master cannot be read: No such file"):
        reduced(path, replace(TABLE, master=str(tmp_path / "none.cdf")))


def test_a_master_in_the_input_is_no_unknown_file() -> None:
    from spectro_mpi.instruments.istp import Istp

    table = InstrumentTable(
        name="a", file="tst_{date}.cdf", value="Flux", master="/x/tst_00000000.cdf"
    )
    preset = Istp(config_of(table))
    assert preset.is_companion("tst_00000000.cdf")
    assert not preset.is_companion("tst_00000001.cdf")
