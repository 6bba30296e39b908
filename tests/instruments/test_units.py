"""Units of ISTP files, as labels of axes show them."""

from __future__ import annotations

import pytest

from spectro_mpi.instruments.units import readable, titled

FLUX = "cm⁻² s⁻¹ sr⁻¹ eV⁻¹"


@pytest.mark.parametrize(
    ("units", "shown"),
    [
        ("1/(cm^2 s sr eV)", FLUX),
        ("#/cm2/s/sr/eV", FLUX),
        ("1/cm^2-s-sr-eV", FLUX),
        ("/cm**2 s sr eV", FLUX),
        ("cm!U-2!N s!U-1!N sr!U-1!N eV!U-1!N", FLUX),
        ("cm!E-2!Ns!E-1!Nsr!E-1!NeV!E-1!N", FLUX),
        ("cm^-2s^-1sr^-1eV^-1", FLUX),
        ("eV/(cm^2 s sr eV)", f"eV {FLUX}"),
        ("eV/cm^2-s-sr-eV", f"eV {FLUX}"),
        ("counts/s", "counts/s"),
        ("nT^2/Hz", "nT²/Hz"),
        ("(V/m)^2/Hz", "(V/m)²/Hz"),
        ("1/cm^3", "cm⁻³"),
        ("eV/nuc", "eV/nuc"),
        ("1/(cm^2 s sr (keV/nuc))", "1/(cm² s sr (keV/nuc))"),
        ("V/m Hz", "V/m Hz"),
        ("m/s^-1", "m/s⁻¹"),
        ("kg/(m s^2)", "kg m⁻¹ s⁻²"),
    ],
)
def test_a_label_has_powers_where_slashes_could_be_misread(units: str, shown: str) -> None:
    assert titled("Flux", readable(units)) == f"Flux ({shown})"
