"""What the settings say of the layers of the atlas, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from spectro_mpi.settings.angles import Band, mistakes_of_bands
from spectro_mpi.settings.atlas import HOURS, MOST_CELLS, AtlasSettings
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import choices


def atlas_bands(config: Config, instrument: str) -> tuple[Band, ...]:
    """The energy bands in which an instrument is mapped; empty: it is not."""
    chosen = config.atlas.instruments
    if instrument not in config.select.instruments or (chosen and instrument not in chosen):
        return ()
    bands = config.atlas.bands or config.angles.bands or dict(config.preset.bands)
    return tuple(bands.get(instrument, ()))


def atlas_categories(config: Config, instrument: str) -> tuple[str, ...]:
    """The categories in which an instrument is mapped; without pitch angles, "all"."""
    if not config.has_pitch_angles(instrument):
        return ("all",)
    if config.atlas.categories:
        return config.atlas.categories
    by_default = {*config.directions, config.atlas.reference}
    return tuple(name for name in config.pitch_angles if name in by_default)


def beam_categories(config: Config, instrument: str) -> tuple[str, ...]:
    """The mapped categories of which beams are counted: directions that are no loss cone."""
    if config.atlas.reference not in config.pitch_angles:
        return ()
    return tuple(
        name
        for name in atlas_categories(config, instrument)
        if name in config.directions and not config.directions[name].losscone
    )


def cone_categories(config: Config, instrument: str) -> tuple[str, ...]:
    """The mapped categories that are a loss cone."""
    if config.atlas.reference not in config.pitch_angles:
        return ()
    return tuple(
        name
        for name in atlas_categories(config, instrument)
        if name in config.directions and config.directions[name].losscone
    )


def mistakes_of_atlas(config: Config) -> Iterator[str]:
    """The mistakes that types cannot express, a sentence each."""
    atlas = config.atlas
    cells = HOURS / atlas.mlt_hours
    if abs(cells - round(cells)) > 1e-9:
        yield f"atlas.mlt_hours = {atlas.mlt_hours:g}: 24 hours must be a whole number of cells"
    if atlas.ilat[0] >= atlas.ilat[1]:
        yield f"atlas.ilat = [{atlas.ilat[0]:g}, {atlas.ilat[1]:g}]: must ascend"
    if len(atlas.altitudes) == 1 or any(low >= high for low, high in pairwise(atlas.altitudes)):
        yield "atlas.altitudes: expected no border, or at least two that ascend"
    if list(atlas.percentiles) != sorted(set(atlas.percentiles)):
        yield "atlas.percentiles: must ascend"
    for key in ("instruments", "categories", "formats"):
        if len(set(getattr(atlas, key))) < len(getattr(atlas, key)):
            yield f"atlas.{key}: lists the same entry twice"
    if atlas.cells > MOST_CELLS:
        yield (
            f"atlas.mlt_hours = {atlas.mlt_hours:g}, atlas.ilat_degrees = "
            f"{atlas.ilat_degrees:g}: with {max(len(atlas.altitudes) - 1, 1)} ranges of altitude, "
            f"there would be {atlas.cells:,} cells; the maximum is {MOST_CELLS:,}"
        )
    for name in atlas.instruments:
        if name not in config.instruments:
            known = choices(name, config.instruments)
            yield f"atlas.instruments: no instrument is called {name}; {known}"
    yield from mistakes_of_bands("atlas", atlas.bands, config.instruments)
    there = ", ".join(config.pitch_angles)
    for name in atlas.categories:
        if name not in config.pitch_angles:
            yield f"atlas.categories: no category is called {name}; choose from {there}"
    if atlas.reference not in (*config.pitch_angles, AtlasSettings.reference):
        yield f'atlas.reference = "{atlas.reference}": no such category; choose from {there}'


def what_atlas_lacks(config: Config) -> Iterator[str]:
    """What the phase `atlas` needs and the settings do not have, a sentence each."""
    if not config.ephemeris_file:
        yield (
            "atlas needs an ephemeris, which says where the spacecraft was: set ephemeris.file to "
            "the pattern of its files"
        )
    needed = ["mlt", "ilat", *(["alt"] if config.atlas.altitudes else [])]
    missing = [name for name in needed if name not in config.ephemeris.variables]
    if config.ephemeris_file and missing:
        yield f"atlas needs {', '.join(missing)} in ephemeris.variables"
    chosen = config.atlas.instruments or config.select.instruments
    without = [name for name in chosen if not atlas_bands(config, name)]
    if without and (config.atlas.instruments or len(without) == len(chosen)):
        yield (
            f"atlas has no energy band of {', '.join(without)}: set atlas.bands, as in "
            f"{{ {without[0]} = [[100, 1000], [1000, 30000]] }}"
        )
    mapped = [name for name in chosen if atlas_bands(config, name)]
    has_angles = any(map(config.has_pitch_angles, mapped))
    if has_angles and not config.directions and not config.atlas.categories:
        yield (
            "atlas maps categories with a direction, and pitch_angles has none: add some, as in "
            'downgoing = { toward = "earth", within = 30 }, or name others in atlas.categories'
        )
