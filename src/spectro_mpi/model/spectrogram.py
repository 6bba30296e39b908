"""The reduced data of one instrument of one item, as it is sent, stored and drawn."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.cadence import time_span
from spectro_mpi.model.channels import belongs, channel_edges, log_edges, measured_channels
from spectro_mpi.model.ephemeris import Variable
from spectro_mpi.model.moment_sums import MomentSums
from spectro_mpi.model.moments import Moments
from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.schema import ScalePair

DIGEST_BYTES = 16
"""Of the digests of reduced data and of figures."""
LINE = "line"
"""`Legend.axis` of a series against time (`model.series`)."""
OVER_BINS = "over the angle bins of the category"
"""In `Legend.long_name`: how the bins are combined, as in "Decoded counts, sum over …; bins …"."""
SEPARATOR = ", "
"""Between the names, and the digests, of several input files."""


@dataclass(frozen=True)
class Legend:
    """Names, labels and units of a spectrogram, for the store and the figures."""

    mission: str = ""
    """Title of a figure of several instruments: "FAST ESA"."""
    title: str = ""
    """Title of a figure of this instrument only: "FAST ESA electron survey (ees)"."""
    name: str = ""
    """Label of a panel among those of other instruments: "electron survey"."""
    long_name: str = ""
    """Description of the quantity."""
    units: str = ""
    """Units of the quantity; empty: it has none."""
    z_label: str = ""
    """Label of the colour bar."""
    axis: str = "energy"
    """Name of the channels' dataset: "energy", "frequency", or "y" for anything else. Of what is
    derived from the store: "angle" (pitch angle), "line" (values against time)."""
    axis_units: str = "eV"
    y_label: str = "Energy (eV)"
    """Label of the channels' axis."""
    rows: str = ""
    """What the row shows if there are no pitch angles: "mean of 80 bins"."""
    is_whole: bool = False
    """Whether the values are whole numbers: their percentiles are then exact."""
    by_mode: bool = False
    """Whether values of records in different modes cannot be compared, as counts."""
    y_scale: str = ""
    """"linear" or "log" if the channels' axis is never drawn otherwise; empty: as set."""
    z_scale: str = ""
    """"linear" or "log" if the colour scale is never drawn otherwise; empty: as set."""
    source: str = ""
    """Where a file with `[[instrument]]` tables says that it comes from: Source_name."""
    descriptor: str = ""
    """What such a file says that it holds: Descriptor."""
    label: str = ""
    """What such a file calls its values: the label of the colour bar without the unit."""


def name_of_values(long_name: str) -> str:
    """What the values of a category are, without how its bins are combined: "Decoded counts"."""
    name, over_bins, _ = long_name.partition(f" {OVER_BINS}")
    return name.rpartition(", ")[0] if over_bins else name


@dataclass(frozen=True)
class Provenance:
    """What a spectrogram was made from and how, besides the name and size of its input.

    It is the same for every execution with the same input, settings and installed packages. Empty:
    not recorded, as in stores of earlier versions.
    """

    sha256: str = ""
    """SHA-256 of the input file, 64 hexadecimal digits; of several, all, joined by ", "."""
    settings: str = ""
    """Digest of the settings of the reduction (`settings.digests.reduction_digest`)."""
    weight: str = ""
    """Weight of an angle bin in a mean: "pitch-angle" (solid angle of its ring of pitch angles),
    the variable of the file, such as "domega", "file" (any other that a preset gives), or "none".
    """
    borders: str = ""
    """How bins at the border of a category count: by the "fraction" inside it, or whole if their
    "centre" is; "none" without pitch angles."""
    software: str = ""
    """Installed packages that affect the values: "spectro-mpi 0.2.0, numpy 2.3.1, …"."""
    cadence: str = ""
    """Time over which records were combined, and how: "60 s mean", "60 s sum"; empty: they are
    those of the file."""
    ephemeris: str = ""
    """Names of the ephemeris files and the model of the field that gives `loss_cone`, as in
    "fa_k0_orb_13312_v01.cdf, dipole"; empty: there is no ephemeris."""
    ephemeris_sha256: str = ""
    """SHA-256 of the ephemeris files, joined by ", ", as `sha256`."""


@dataclass(frozen=True)
class Spectrogram:
    """Reduced data: (time, pitch angle, energy) → (category, time, energy).

    Records are in the order of the file: times may repeat or go backward. Missing values are NaN.
    """

    instrument: str
    quantity: str
    """Name of the values; for FAST `data.quantity`, such as "counts"."""
    category: tuple[str, ...]
    time: NDArray[np.float64]
    """(record,) s since 1970 UTC: the middle of the record where its start and end are known, else
    the time in the file."""
    time_start: NDArray[np.float64]
    """(record,) s since 1970 UTC; NaN where the file does not give it."""
    time_end: NDArray[np.float64]
    """(record,) s since 1970 UTC; NaN where the file does not give it."""
    mode: NDArray[np.unsignedinteger[Any]]
    """(record,) row of `energy` in use for the record; a value beyond its rows: none."""
    energy: NDArray[np.float32]
    """(mode, channel) channel centres, eV (or as `legend` says); NaN where there is no channel."""
    values: NDArray[np.float32]
    """(category, record, channel) in units of `legend.units`; NaN where no bin is valid."""
    source: str
    """Name of the input file; of several, all, joined by ", "."""
    source_size: int
    """Size of the input file or files, bytes."""
    legend: Legend = Legend()
    edges: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 2), np.float32))
    """(mode, channel, 2) lower and upper edges of the channels, in the unit of `energy`; NaN where
    there is no channel.

    Edges that are left out, or that do not enclose `energy` (a copy was given other energies), are
    computed from the centres: by geometric means, or midpoints if a table has values at or below 0.
    """

    intervals: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 2), np.float32))
    """(category, interval, 2) pitch angles of the categories, degrees, padded with NaN; of size 0:
    not known, or the rows are not of pitch angle."""
    quality: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """(record,) flags of the record, 0: good; of size 0: the file has none."""
    errors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))
    """(category, record, channel) uncertainty of `values`; of size 0: not computed."""
    ephemeris: tuple[Variable, ...] = ()
    """Where the spacecraft was, by record; empty: not known."""
    angles: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))
    """(band, record, angle) means over energy bands by pitch angle (`angles.reduce_angles`); of
    size 0: not computed."""
    bands: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))
    """(band, 2) energies from and to, in the unit of `energy`."""
    sums: MomentSums | None = None
    """What its moments follow from, only while it is made; None: it has none."""
    moments: Moments | None = None
    """Moments of the distribution by record; None: not computed."""
    provenance: Provenance = Provenance()
    notes: tuple[str, ...] = ()
    """What a reader of the figures should know of the files: one was left out, and why."""

    def __post_init__(self) -> None:
        if not belongs(self.edges, self.energy):
            object.__setattr__(self, "edges", edges_of_centres(self.energy))

    @property
    def name(self) -> str:
        """Name of its group in the store."""
        return self.instrument

    @cached_property
    def known_series(self) -> dict[str, Spectrogram]:
        """What `series.series_of` has made of it, by name."""
        return {}

    @cached_property
    def log_edges(self) -> NDArray[np.float32]:
        """`edges` as drawn on a log axis, (mode, channel, 2); NaN: the channel cannot be drawn."""
        return log_edges(self.edges, self.energy)

    @cached_property
    def has_values(self) -> NDArray[np.bool_]:
        """Which records have a finite value in each category: (category, record)."""
        return np.asarray(np.isfinite(self.values).any(axis=2))

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """Which channels have a finite value somewhere: (category, mode, channel)."""
        return measured_channels(self.values, self.mode, len(self.energy))

    @property
    def is_line(self) -> bool:
        """Whether its values, of a single channel, are drawn as lines against time."""
        return self.legend.axis == LINE

    @cached_property
    def by_angle(self) -> Spectrogram | None:
        """Its pitch-angle spectrograms, a category per band, from 0 to 360°; None: it has none."""
        return _by_angle(self) if self.angles.size else None

    @cached_property
    def by_folded_angle(self) -> Spectrogram | None:
        """As `by_angle`, from 0 to 180°: means of the two halves of the circle."""
        whole = self.by_angle
        return None if whole is None else _folded(whole)

    def __repr__(self) -> str:
        sizes = "category {}, record {}, channel {}".format(*self.values.shape)
        units, span = self.legend.units or "no unit", time_span(self.time)
        return (
            f"<Spectrogram {self.instrument} {self.quantity} ({units}): {sizes}; {span}; "
            f"{self.source}>"
        )

    def _repr_html_(self) -> str:
        from spectro_mpi.model import html

        energy = self.energy[np.isfinite(self.energy)]
        channels = f"{energy.min():g} to {energy.max():g}" if energy.size else "none"
        title = self.legend.title or self.instrument
        rows = [
            ("quantity", f"{self.quantity} ({self.legend.units or 'no unit'})"),
            ("category", ", ".join(self.category)),
            ("records", f"{len(self.time)}, {time_span(self.time)}"),
            ("channels", f"{self.energy.shape[-1]}, {channels} {self.legend.axis_units}"),
            ("source", self.source),
        ]
        rising = np.argsort(self.energy[0]) if len(self.energy) else slice(None)
        picture = html.thumbnail(self.values[0][:, rising], f"{title}, {self.category[0]}")
        return html.heading(title) + html.table(("", ""), rows) + picture


def data_digest(spectrogram: Spectrogram) -> str:
    """Digest of what figures of a spectrogram depend on: 22 characters, of 16 bytes.

    These are its arrays except `errors`, its ephemeris, its legend, the names and digests of its
    source, and its notes; not the installed packages, since an update does not change a figure that
    shows the same.
    """
    made, moments = spectrogram.provenance, spectrogram.moments
    about = (
        spectrogram.instrument,
        spectrogram.quantity,
        spectrogram.category,
        spectrogram.source,
        astuple(spectrogram.legend),
        spectrogram.notes,
        (made.sha256, made.settings),
        *map(_about, spectrogram.ephemeris),
        *(moments.words if moments else ()),
    )
    content = hashlib.blake2b(repr(about).encode(), digest_size=DIGEST_BYTES)
    for array in (
        spectrogram.time,
        spectrogram.time_start,
        spectrogram.time_end,
        spectrogram.mode,
        spectrogram.energy,
        spectrogram.edges,
        spectrogram.values,
        spectrogram.intervals,
        spectrogram.quality,
        *(variable.values for variable in spectrogram.ephemeris),
        *((spectrogram.angles, spectrogram.bands) if spectrogram.angles.size else ()),
        *(moments.values.values() if moments else ()),
    ):
        content.update(f"{array.dtype.str}{array.shape}".encode())
        content.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return short(content.digest())


def band_name(band: Iterable[float]) -> str:
    """The category of a band in the extrema and in `axes`, as in "100-1000"."""
    return "-".join(f"{end:g}" for end in band)


def _by_angle(spectrogram: Spectrogram) -> Spectrogram:
    legend, cells = spectrogram.legend, spectrogram.angles.shape[2]
    edges = np.linspace(0.0, 360.0, cells + 1, dtype=np.float32)
    pairs = np.stack([edges[:-1], edges[1:]], axis=1)[None]
    label = f"{legend.z_label}, mean of the channels" if legend.by_mode else legend.z_label
    name = name_of_values(legend.long_name)
    return Spectrogram(
        instrument=spectrogram.instrument + BY_ANGLE,
        quantity=spectrogram.quantity,
        category=tuple(map(band_name, spectrogram.bands.tolist())),
        time=spectrogram.time,
        time_start=spectrogram.time_start,
        time_end=spectrogram.time_end,
        mode=np.zeros(len(spectrogram.time), np.uint8),
        energy=pairs.mean(axis=2, dtype=np.float32),
        values=spectrogram.angles,
        source=spectrogram.source,
        source_size=spectrogram.source_size,
        legend=replace(
            legend,
            long_name=f"{name} by pitch angle, mean over an energy band",
            axis="angle",
            axis_units="degrees",
            y_label="Pitch angle (°)",
            z_label=label,
            is_whole=False,
            y_scale="linear",
        ),
        edges=pairs,
        quality=spectrogram.quality,
        ephemeris=spectrogram.ephemeris,
        provenance=spectrogram.provenance,
        notes=spectrogram.notes,
    )


def _folded(whole: Spectrogram) -> Spectrogram:
    half = whole.values.shape[2] // 2
    halves = np.stack([whole.values[:, :, :half], whole.values[:, :, : half - 1 : -1]])
    known = np.isfinite(halves)
    count = known.sum(axis=0)
    total = np.where(known, halves, 0).sum(axis=0, dtype=np.float64)
    values = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return replace(whole, values=values, energy=whole.energy[:, :half], edges=whole.edges[:, :half])


def _about(variable: Variable) -> tuple[str, str, str]:
    return variable.name, variable.units, variable.long_name


def short(digest: bytes) -> str:
    """A digest as text: base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def narrowest(mode: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """The modes in the smallest unsigned integer type: one byte for up to 256 tables."""
    return mode.astype(np.min_scalar_type(int(mode.max(initial=0))))


def drawn_scales(legend: Legend, pair: tuple[str, str]) -> ScalePair:
    """The scales (y, z) of a spectrogram in the figures of a pair of `plot.scales`.

    They differ from the pair where the legend names a scale: that of `[[instrument]]`, or of an
    axis that is never drawn logarithmic. Names in extrema.json and of files keep the pair's.
    """
    return cast(ScalePair, (legend.y_scale or pair[0], legend.z_scale or pair[1]))


def edges_of_centres(energy: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Edges of channels of which only the centres are known; (mode, channel) → (mode, channel, 2).

    Geometric means if all centres are positive; else each table as `channel_edges` finds it.
    """
    finite = energy[np.isfinite(energy)]
    return channel_edges(energy, is_log=True if (finite > 0).all() else None)
