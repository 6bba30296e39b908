"""Kinds of input files (`data.preset`): what settings, titles and names of figures depend on.

A preset is a class that reads its files (instruments/preset.py: `Preset`) and an entry here, or in
the entry-point group `spectro_mpi.presets` of an installed package.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from spectro_mpi.errors import UserError
from spectro_mpi.settings.summary import fast_summary
from spectro_mpi.system.plugins import installed, load
from spectro_mpi.system.words import nearest

ENTRY_POINTS = "spectro_mpi.presets"


@dataclass(frozen=True)
class FixedAxes:
    """Fixed axes of spectrograms, which users of other programs know."""

    name: str
    """As in `plot.axes`."""
    quantity: str
    """The `data.quantity` that they are for."""
    limits: tuple[tuple[str, tuple[float, float, float, float]], ...]
    """Instruments, each with the ends of its energy axis (eV) and of its colours."""


@dataclass(frozen=True)
class PresetEntry:
    """What can be said of a preset without opening a file."""

    name: str
    reader: str
    """Its class, "module:Class"."""
    instruments: tuple[str, ...] = ()
    """Empty: those of the `[[instrument]]` tables."""
    quantities: tuple[str, ...] = ()
    """What `data.quantity` may be, the default first; empty: it has no meaning."""
    has_pitch_angles: bool = True
    """Whether rows are categories of pitch angle; `[[instrument]]` tables say it for each."""
    items_are_orbits: bool = False
    """Whether items are numbered orbits, and called so."""
    ephemeris: str = ""
    """Pattern of the names of ephemeris files (`[ephemeris] file`); empty: there are none."""
    bands: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
    """Instruments, each with the energy bands of its pitch-angle spectrograms (`[angles]`), eV."""
    summary: tuple[str, ...] = ()
    """Panels of figures of kind "summary" (`plot.summary`)."""
    fixed_axes: tuple[FixedAxes, ...] = ()
    """Fixed axes that `plot.axes` can name."""
    species: tuple[tuple[str, str], ...] = ()
    """Instruments, each with what it measures (`[moments] species`)."""
    figure_word: str = ""
    """In the names of figures, as ESA in 13312_pitch-angle_ESA_ees_….png."""
    archive: str = ""
    """Address of the folder of a web archive that has the files; empty: none is known."""
    folders: str = ""
    """Its folders, in the notation of `fetch.folders`."""
    ephemeris_archive: str = ""
    """Address of the folder with ephemeris files, followed by its folders; empty: not known."""

    @property
    def by_tables(self) -> bool:
        """Whether its instruments stand in `[[instrument]]` tables."""
        return not self.instruments


_ELECTRONS = ((100.0, 1000.0), (1000.0, 40_000.0))
_IONS = ((50.0, 1000.0), (1000.0, 30_000.0))
"""Energies of the spectrograms of FAST's key parameters (k0), eV."""

_SPEDAS = FixedAxes(
    "spedas",
    "eflux",
    tuple(
        (name, (5.0, 40_000.0, *colours))
        for names, colours in ((("ees", "eeb"), (1e5, 1e9)), (("ies", "ieb"), (1e4, 1e8)))
        for name in names
    ),
)

_BUILT_IN = MappingProxyType(
    {
        "fast-esa": PresetEntry(
            "fast-esa",
            "spectro_mpi.instruments.fast_esa:FastEsa",
            instruments=("ees", "eeb", "ies", "ieb"),
            quantities=("counts", "rate", "eflux", "flux", "codes"),
            items_are_orbits=True,
            ephemeris="fa_k0_orb_{orbit}_v{version}.cdf",
            bands=(("ees", _ELECTRONS), ("eeb", _ELECTRONS), ("ies", _IONS), ("ieb", _IONS)),
            summary=fast_summary(),
            fixed_axes=(_SPEDAS,),
            species=tuple(
                (name, "electron" if name.startswith("e") else "proton")
                for name in ("ees", "eeb", "ies", "ieb")
            ),
            figure_word="ESA",
            archive="https://spdf.gsfc.nasa.gov/pub/data/fast/esa/l2",
            folders="{instrument}/%Y/%m",
            ephemeris_archive="https://spdf.gsfc.nasa.gov/pub/data/fast/orb/k0/%Y/**",
        ),
        "istp": PresetEntry("istp", "spectro_mpi.instruments.istp:Istp"),
    }
)


class UnknownPresetError(UserError):
    """There is no preset of that name; the message says what `data.preset` should be."""


def preset_named(name: str) -> PresetEntry:
    """The entry of a preset.

    Raises `UnknownPresetError` if there is none, `UserError` if its package cannot be imported.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if name in installed(ENTRY_POINTS):
        entry: PresetEntry = load(installed(ENTRY_POINTS)[name], f'data.preset = "{name}"')
        return entry
    known = (*_BUILT_IN, *sorted(installed(ENTRY_POINTS)))
    raise UnknownPresetError(
        f'data.preset = "{name}": should be {" or ".join(map(repr, known))}, or install the '
        f"package that offers it{nearest(name, known)}"
    )


def built_in_presets() -> tuple[PresetEntry, ...]:
    """The presets that come with the program."""
    return tuple(_BUILT_IN.values())
