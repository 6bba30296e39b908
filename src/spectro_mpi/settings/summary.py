"""Panels of figures of kind "summary": `plot.summary`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.system.words import choices

SERIES: Mapping[str, str] = MappingProxyType(
    {
        "density": "log",
        "number_flux": "symlog",
        "energy_flux": "symlog",
        "number_flux_100km": "symlog",
        "energy_flux_100km": "symlog",
        "omnidirectional_flux": "log",
        "velocity": "symlog",
        "pressure_parallel": "log",
        "pressure_perpendicular": "log",
        "temperature_parallel": "log",
        "temperature_perpendicular": "log",
        "temperature": "log",
        "potential": "linear",
    }
)
"""Moments that can be drawn as lines → scale of their axis; "symlog" shows both signs."""
DIRECTIONS = ("down", "up", "net", "parallel", "antiparallel")
"""Categories of the fluxes along the field."""
_DIRECTED = ("number_flux", "energy_flux", "number_flux_100km", "energy_flux_100km")
"""Moments with a row for each direction."""
POTENTIAL = "potential"
_FORM = '"ees.downgoing", "ees-angles.100-1000" or "ees-energy_flux.net"'


class Source(NamedTuple):
    """What a panel, or a line of it, shows."""

    group: str
    """An instrument, "ees"; its pitch-angle spectrograms, "ees-angles"; or a moment of it,
    "ees-density"."""
    category: str = ""
    """A category of pitch angle, a band, or a direction; empty: the moment has none."""

    @property
    def instrument(self) -> str:
        """The instrument."""
        return self.group.partition("-")[0]

    @property
    def series(self) -> str:
        """The moment; empty: a spectrogram."""
        return series_in(self.group)

    def __str__(self) -> str:
        return f"{self.group}.{self.category}" if self.category else self.group


Layers = tuple[Source, ...]


def series_in(group: str) -> str:
    """The moment that a name such as "ees-density" has; empty: it has none."""
    name = group.partition("-")[2]
    return name if name in SERIES else ""


@lru_cache(maxsize=256)
def alternatives_of(entry: str) -> tuple[Layers, ...]:
    """What an entry of `plot.summary` lists, in order; the first that an item has is drawn.

    "ees.downgoing | ees.parallel" has two; "ees-density + ies-density" is one, of two lines.
    """
    return tuple(
        tuple(_source(word) for word in alternative.split("+")) for alternative in entry.split("|")
    )


def _source(word: str) -> Source:
    group, _, category = word.strip().partition(".")
    return Source(group, category)


def sources_of(entries: Iterable[str]) -> Iterator[Source]:
    """All that the panels of a summary may show."""
    for entry in entries:
        for layers in alternatives_of(entry):
            yield from layers


def mistakes_of_summary(
    entries: Iterable[str],
    instruments: Collection[str],
    categories: Collection[str],
    bands: Mapping[str, Collection[str]],
) -> Iterator[str]:
    """The mistakes in entries that types cannot express, a sentence each.

    `categories` are those of pitch angle; `bands` those by instrument.
    """
    for entry in entries:
        where = f'plot.summary: "{entry}"'
        for layers in alternatives_of(entry):
            mistakes = [
                mistake
                for source in layers
                for mistake in _mistakes_of(source, instruments, categories, bands)
            ]
            yield from (f"{where}: {mistake}" for mistake in mistakes)
            if not mistakes:
                yield from (f"{where}: {mistake}" for mistake in _mistakes_of_layers(layers))


def _mistakes_of(
    source: Source,
    instruments: Collection[str],
    categories: Collection[str],
    bands: Mapping[str, Collection[str]],
) -> Iterator[str]:
    name, part = source.instrument, source.group[len(source.instrument) :]
    if not name:
        yield f"expected panels such as {_FORM}, joined by | (or) and + (and)"
    elif name not in instruments:
        yield from _unless_known("instrument", name, instruments)
    elif part == BY_ANGLE:
        yield from _unless_known("band", source.category, bands.get(name, ()))
    elif part and not source.series:
        yield from _unless_known("moment", part[1:], ("angles", *SERIES))
    elif source.series:
        yield from mistakes_of_row(source.series, source.category)
    else:
        yield from _unless_known("pitch-angle category", source.category, categories)


def mistakes_of_row(series: str, direction: str) -> Iterator[str]:
    """What is wrong with the direction of a moment; empty: all of its rows are meant."""
    if direction and series not in _DIRECTED:
        yield f"{series} has no direction; leave out .{direction}"
    elif direction:
        yield from _unless_known("direction", direction, DIRECTIONS)


def _unless_known(kind: str, name: str, known: Collection[str]) -> Iterator[str]:
    """A sentence on a name that is missing, or not among those that are known."""
    there = choices(name, list(known)) if known else "there is none"
    if not name:
        yield f"lacks the name of a {kind}; {there}"
    elif name not in known:
        yield f"no {kind} is called {name}; {there}"


def _mistakes_of_layers(layers: Layers) -> Iterator[str]:
    first, *others = layers
    if len(set(layers)) < len(layers):
        yield "lists the same entry twice"
    if first.series:
        for other in others:
            if other.series != first.series:
                yield f"{other} cannot share the axis of {first}"
        if len(layers) > 3:
            yield "a panel has three lines at most"
        return
    for other in others:
        is_over = other.series == POTENTIAL and other.instrument == first.instrument
        if not is_over or first.group.endswith(BY_ANGLE):
            yield (
                f"{other} cannot be drawn over {first}; only the potential of the same instrument "
                "over energies can"
            )


def fast_summary() -> tuple[str, ...]:
    """The panels of a FAST summary plot, in its order."""

    def of(names: tuple[str, str], *forms: str) -> str:
        return " | ".join(form.format(name) for name in names for form in forms)

    entries: list[str] = []
    for names, low, high in ((("ees", "eeb"), 100, 40000), (("ies", "ieb"), 50, 30000)):
        over = "" if names[0] == "ies" else " + {0}-potential"
        entries += [
            of(names, f"{{0}}.downgoing{over}", f"{{0}}.parallel{over}"),
            of(names, f"{{0}}.perpendicular{over}"),
            of(names, f"{{0}}.upgoing{over}", f"{{0}}.antiparallel{over}"),
            of(names, f"{{0}}-angles.{low}-1000"),
            of(names, f"{{0}}-angles.1000-{high}"),
        ]
    for flux in ("energy_flux", "number_flux"):
        entries.append(
            " | ".join(
                f"{electrons}-{flux}{where}.net + {ions}-{flux}{where}.net"
                for electrons, ions in (("ees", "ies"), ("eeb", "ieb"))
                for where in ("_100km", "")
            )
        )
    entries.append("ees-potential | eeb-potential")
    return tuple(entries)
