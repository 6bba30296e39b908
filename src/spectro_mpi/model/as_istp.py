"""Convert spectrograms to the variables of a CDF that follows the ISTP guidelines.

Pure array science: no files. The attributes are those of the ISTP/IACG guidelines
(https://spdf.gsfc.nasa.gov/istp_guide/vattributes.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.as_xarray import edges_of_records, energy_of_records
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.names_of_rows import by_names, records_first
from spectro_mpi.model.plain import plain_text, plain_units
from spectro_mpi.model.spectrogram import Spectrogram, name_of_values

EPOCH_NAME = "Epoch"
ERROR = "_error"
"""Suffix of the name of a dataset's uncertainties."""
FILL_REAL = -1e31
_TT2000_FILL = -(1 << 63)
_FIRST_EPOCH, _LAST_EPOCH = -3_155_716_767_816_000_000, 6_311_390_469_184_000_000
"""1900-01-01 and 2200-01-01 as CDF_TIME_TT2000; `model.records` leaves out other times."""
_LONGEST = 80
"""Characters of a CATDESC."""
_LARGE = 1e30
"""Real values of this size and above are no measurements."""

Attribute = str | tuple[Any, str]
"""Text; or a number, or several, and their CDF type."""
_Attributes = dict[str, Attribute]

_FILL: Mapping[str, Any] = {
    "CDF_REAL4": FILL_REAL,
    "CDF_REAL8": FILL_REAL,
    "CDF_INT2": -(1 << 15),
    "CDF_INT4": -(1 << 31),
    "CDF_INT8": -(1 << 63),
    "CDF_TIME_TT2000": _TT2000_FILL,
}
_DTYPE: Mapping[str, Any] = {
    "CDF_REAL4": np.float32,
    "CDF_REAL8": np.float64,
    "CDF_INT2": np.int16,
    "CDF_INT4": np.int32,
    "CDF_INT8": np.int64,
    "CDF_TIME_TT2000": np.int64,
}
_FORMAT = {"CDF_REAL4": "E13.6", "CDF_REAL8": "E21.14", "CDF_INT2": "I6", "CDF_INT4": "I11"}
_SI = {
    "eV": "1.602176634e-19>J",
    "km": "1e3>m",
    "km s-1": "1e3>m s^-1",
    "s": "1>s",
    "s-1": "1>s^-1",
    "ns": "1e-9>s",
    "degrees": "1.7453292519943295e-2>rad",
    "Hz": "1>s^-1",
    "V": "1>V",
    "cm-3": "1e6>m^-3",
    "cm-2 s-1": "1e4>m^-2 s^-1",
    "eV cm-3": "1.602176634e-13>Pa",
    "erg cm-2 s-1": "1e-3>W m^-2",
    "eV/(cm^2 s sr eV)": "1e4>m^-2 s^-1 sr^-1",
    "1/(cm^2 s sr eV)": "6.241509074e22>m^-2 s^-1 sr^-1 J^-1",
}
"""Units of the store → SI_CONVERSION; of other units it is left out."""


@dataclass(frozen=True)
class CdfVariable:
    """A variable of a CDF."""

    name: str
    kind: str
    """CDF type, such as "CDF_REAL4"; "CDF_CHAR": text."""
    values: NDArray[Any]
    """(record, …) if it varies by record, else of the shape of the one record."""
    attributes: Mapping[str, Attribute]
    varies: bool = True
    """Whether it varies by record."""


@dataclass(frozen=True)
class Meanings:
    """What the store does not say of a spectrogram, by category or band."""

    categories: Mapping[str, str] = field(default_factory=dict)
    """Category → what it is, such as "pitch angles [0, 30) degrees"."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Category, or band → common limits of all items, for SCALEMIN and SCALEMAX."""
    scales: tuple[str, str] = ("log", "log")
    """Scales of the channels' axis and of the values."""


def as_istp(
    spectrogram: Spectrogram,
    epoch: NDArray[np.int64],
    others: Iterable[Dataset] = (),
    meanings: Meanings | None = None,
) -> tuple[CdfVariable, ...]:
    """The variables of a CDF with one spectrogram.

    - `Epoch`; each category is a variable of its own, (record, channel), as browsers of CDF files
      plot it: `ees_eflux_downgoing`. So is each energy band of the pitch-angle spectrograms, and
      each row of `others` along a dimension with names (`ees_number_flux_down`);
    - DEPEND_1 of categories is `ees_energy`, (record, channel), with the distances to the edges of
      the channels in DELTA_MINUS_VAR and DELTA_PLUS_VAR. It always varies by record: files of one
      kind have the same structure, whatever modes they hold, and can be merged in time;
    - uncertainties are in DELTA_PLUS_VAR and DELTA_MINUS_VAR of the values.

    Parameters
    ----------
    spectrogram : Spectrogram
        Its records in order of time, all with a time (`in_time_order`).
    epoch : ndarray, (record,)
        Its times as CDF_TIME_TT2000, int64, ns since J2000.
    others : iterable of Dataset
        Further datasets, such as those of phases: a dimension `time` or `record` is that of the
        records, any other has the coordinates of the dataset, or counts from 0. Those that do not
        fit the records are left out.
    meanings : Meanings, optional
        What categories mean, and limits for SCALEMIN and SCALEMAX.

    Returns
    -------
    tuple of CdfVariable
        Names begin with that of the instrument, so that files of several instruments can be loaded
        together.
    """
    return tuple(_Builder(spectrogram, epoch, meanings or Meanings()).variables(others))


class _Builder:
    def __init__(
        self, spectrogram: Spectrogram, epoch: NDArray[np.int64], meanings: Meanings
    ) -> None:
        self._of = spectrogram
        self._epoch = epoch
        self._meanings = meanings
        self._made: dict[str, CdfVariable] = {}

    def variables(self, others: Iterable[Dataset]) -> Iterator[CdfVariable]:
        self._add_times()
        self._add_channels()
        by_name: dict[str, Dataset] = {}
        for dataset in (*self._own(), *others):
            by_name.setdefault(dataset.name, dataset)
        for dataset in by_name.values():
            base = by_name.get(dataset.name.removesuffix(ERROR))
            is_error = dataset.name.endswith(ERROR) and base is not None
            self._add_dataset(dataset, f"{dataset.name}{ERROR}" in by_name, is_error)
        return iter(self._made.values())

    def _own(self) -> Iterator[Dataset]:
        """The arrays of the spectrogram as datasets, except times and channels."""
        of, legend = self._of, self._of.legend
        dims, points = ("category", "time", "channel"), {"category": np.array(of.category)}
        yield Dataset(of.quantity, of.values, dims, legend.units, legend.long_name, points)
        if of.errors.size:
            text = f"Uncertainty (1 sigma) of: {legend.long_name}"
            yield Dataset(of.quantity + ERROR, of.errors, dims, legend.units, text, points)
        if of.by_angle is not None:
            names, angles = np.array(of.by_angle.category), of.by_angle.energy[0]
            yield Dataset(
                f"{of.quantity}_angle",
                of.angles,
                ("band", "time", "angle"),
                legend.units,
                of.by_angle.legend.long_name,
                {"band": names, "angle": angles},
            )
        yield Dataset("mode", of.mode.astype(np.int32), ("time",), "", "Row of the energy table")
        if of.quality.size:
            text = "Flags of the record, 0: good"
            yield Dataset("data_quality", of.quality.astype(np.int16), ("time",), "", text)
        if of.moments is not None:
            yield from of.moments.datasets
        for each in of.ephemeris:
            yield Dataset(each.name, each.values, ("time",), each.units, each.long_name)

    def _add_times(self) -> None:
        self._made[EPOCH_NAME] = CdfVariable(
            EPOCH_NAME, "CDF_TIME_TT2000", self._epoch, _epoch_attributes()
        )
        for name, seconds, text in (
            ("time_start", self._of.time_start, "Start of the record"),
            ("time_end", self._of.time_end, "End of the record"),
        ):
            about = f"{text}, seconds since 1970-01-01 UTC without leap seconds"
            self._add(Dataset(name, seconds, ("time",), "s", about))

    def _add_channels(self) -> None:
        legend = self._of.legend
        centres, edges = energy_of_records(self._of), edges_of_records(self._of)
        name, dims = legend.axis, ("time", "channel")
        scale = self._meanings.scales[0]
        more: _Attributes = {"SCALETYP": scale}
        for end, values, side in (
            ("MINUS", centres - edges[:, :, 0], "lower"),
            ("PLUS", edges[:, :, 1] - centres, "upper"),
        ):
            text = f"Distance from the centre of the channel to its {side} edge"
            delta = f"{name}_delta_{end.lower()}"
            self._add(Dataset(delta, np.abs(values), dims, legend.axis_units, text))
            more[f"DELTA_{end}_VAR"] = self._name(delta)
        text = "Centre of the channel"
        axis = Dataset(name, centres, dims, legend.axis_units, text)
        self._add(axis, "support_data", (), **(more | self._scale("y", "", "CDF_REAL4")))

    def _add_dataset(self, dataset: Dataset, has_errors: bool, is_error: bool) -> None:
        """Add a dataset: a variable for each name along dimensions that have names."""
        dataset = records_first(dataset)
        if dataset.dims[:1] == ("time",) and len(dataset.values) != len(self._epoch):
            return
        for part, labels in by_names(dataset):
            more: _Attributes = {}
            if has_errors:
                error = self._name("_".join((dataset.name + ERROR, *labels)))
                more = {"DELTA_PLUS_VAR": error, "DELTA_MINUS_VAR": error}
            if part.values.ndim > 1 and part.dims[0] == "time" and not is_error:
                row = labels[0] if labels else ""
                kind = _kind_of(part.values)
                more |= {"DISPLAY_TYPE": "spectrogram", "SCALETYP": self._meanings.scales[1]}
                more |= self._scale("z", row, kind)
            is_data = "DISPLAY_TYPE" in more or (part.dims == ("time",) and not is_error)
            self._add(part, "data" if is_data else "support_data", labels, **more)

    def _scale(self, end: str, row: str, kind: str) -> _Attributes:
        """SCALEMIN and SCALEMAX of an axis ("y", "z"), by the common limits of all items."""
        limits = self._meanings.limits.get(row or self._of.category[0])
        if limits is None or not kind.startswith("CDF_REAL"):
            return {}
        return {
            "SCALEMIN": (float(getattr(limits, f"{end}_min")), kind),
            "SCALEMAX": (float(getattr(limits, f"{end}_max")), kind),
        }

    def _add(
        self,
        dataset: Dataset,
        var_type: str = "support_data",
        labels: Sequence[str] = (),
        **more: Attribute,
    ) -> None:
        """Add a variable; `dataset` has the dimension of the records first, or not at all."""
        name = self._name("_".join((dataset.name, *labels)))
        varies = dataset.dims[:1] == ("time",)
        about = dataset.long_name or dataset.name
        meaning = [self._meanings.categories.get(label) or label for label in labels]
        texts = _texts(name, _brief(about, labels, meaning), dataset)
        texts["VAR_NOTES"] = plain_text(", ".join((about, *meaning)))
        if dataset.values.dtype.kind in "OUST":
            words = {"VAR_TYPE": "metadata", **texts, "FILLVAL": " "}
            if varies:
                words["DEPEND_0"] = EPOCH_NAME
            self._made[name] = CdfVariable(name, "CDF_CHAR", dataset.values, words, varies)
            return
        kind, values = _as_stored(dataset.values)
        attributes: _Attributes = {
            "VAR_TYPE": var_type,
            **texts,
            "LABLAXIS": self._label(dataset, labels),
            **_numbers(kind, values),
            **self._depends(dataset, varies),
            **more,
        }
        if var_type == "data" and "DISPLAY_TYPE" not in attributes:
            attributes["DISPLAY_TYPE"] = "time_series"
        self._made[name] = CdfVariable(name, kind, values, attributes, varies)

    def _depends(self, dataset: Dataset, varies: bool) -> _Attributes:
        """DEPEND_0 and DEPEND_n of a variable; adds what they name."""
        depends: _Attributes = {"DEPEND_0": EPOCH_NAME} if varies else {}
        for number, dim in enumerate(dataset.dims[varies:], 1):
            size = dataset.values.shape[number - 1 + varies]
            axis_name = self._of.legend.axis
            if dim == "channel" and size == self._of.energy.shape[1]:
                if varies and not dataset.name.startswith(axis_name):  # nor do its deltas
                    depends[f"DEPEND_{number}"] = self._name(axis_name)
                continue
            points = dataset.coordinates.get(dim)
            if points is None:
                points = np.arange(size, dtype=np.int32)
            is_angle = dim == "angle"
            text = "Pitch angle" if is_angle else f"Coordinates of the dimension {dim}"
            axis = Dataset(dim, points, (dim,), "degrees" if is_angle else "", text)
            depends[f"DEPEND_{number}"] = self._axis(axis)
        return depends

    def _axis(self, axis: Dataset) -> str:
        """Add a variable with the coordinates of a dimension; returns its name."""
        name, number = self._name(axis.name), 1
        kind, values = _as_stored(axis.values)
        while name in self._made and not np.array_equal(self._made[name].values, values):
            number += 1
            name = self._name(f"{axis.name}_{number}")
        if name not in self._made:
            attributes = {
                "VAR_TYPE": "support_data",
                **_texts(name, axis.long_name, axis),
                **_numbers(kind, values),
                "SCALETYP": "linear",
            }
            self._made[name] = CdfVariable(name, kind, values, attributes, varies=False)
        return name

    def _label(self, dataset: Dataset, labels: Sequence[str]) -> str:
        """A short label of an axis: "ees downgoing"; "ees density"."""
        names = labels if dataset.values.ndim > 1 and labels else (dataset.name, *labels)
        return plain_text(" ".join((self._of.instrument, *names)))[:30]

    def _name(self, name: str) -> str:
        return variable_name(f"{self._of.instrument}_{name}")


def variable_name(name: str) -> str:
    """A name that CDF tools accept: letters, digits and underscores, a letter first."""
    word = re.sub(r"[^A-Za-z0-9_]+", "_", plain_text(name))
    return word if word[:1].isalpha() else f"v{word}"


def _epoch_attributes() -> _Attributes:
    kind = "CDF_TIME_TT2000"
    return {
        "VAR_TYPE": "support_data",
        "CATDESC": "Centre of the record",
        "FIELDNAM": EPOCH_NAME,
        "LABLAXIS": "UT",
        "UNITS": "ns",
        "SI_CONVERSION": _SI["ns"],
        "FILLVAL": (_TT2000_FILL, kind),
        "VALIDMIN": (_FIRST_EPOCH, kind),
        "VALIDMAX": (_LAST_EPOCH, kind),
        "FORMAT": "I20",
        "MONOTON": "INCREASE",
        "SCALETYP": "linear",
        "TIME_BASE": "J2000",
        "TIME_SCALE": "Terrestrial Time",
        "REFERENCE_POSITION": "Rotating Earth Geoid",
        "BIN_LOCATION": (0.5, "CDF_REAL4"),
    }


def _brief(about: str, labels: Sequence[str], meaning: Sequence[str]) -> str:
    """What a variable is, as far as there is room; its `labels` tell it from others in any case."""
    brief = name_of_values(about).partition(";")[0]
    text = plain_text(", ".join((brief, *meaning)))
    if len(text) <= _LONGEST:
        return text
    end = plain_text(", ".join(("", *labels)))
    return plain_text(brief)[: max(_LONGEST - len(end), 0)].strip() + end


def _texts(name: str, about: str, dataset: Dataset) -> _Attributes:
    """The attributes in words of a variable."""
    units = plain_units(dataset.units)
    words: _Attributes = {
        "CATDESC": plain_text(about)[:_LONGEST].strip() or name,
        "FIELDNAM": name,
        "LABLAXIS": plain_text(dataset.name)[:30],
        "UNITS": " " if units == "1" else units,
        "VAR_NOTES": plain_text(about),
    }
    if units in _SI:
        words["SI_CONVERSION"] = _SI[units]
    return words


def _numbers(kind: str, values: NDArray[Any]) -> _Attributes:
    """FILLVAL, VALIDMIN, VALIDMAX and FORMAT."""
    fill = _FILL[kind]
    is_real = kind.startswith("CDF_REAL")
    valid = values[values != _DTYPE[kind](fill)]
    smallest = valid.min(initial=0)
    if is_real:
        low, high = (0.0 if smallest >= 0 else -_LARGE), _LARGE
    else:
        limit = np.iinfo(_DTYPE[kind]).max
        low, high = (0 if smallest >= 0 else -limit), limit
    return {
        "FILLVAL": (fill, kind),
        "VALIDMIN": (low, kind),
        "VALIDMAX": (high, kind),
        "FORMAT": _FORMAT.get(kind, "I20"),
    }


def _kind_of(values: NDArray[Any]) -> str:
    """The CDF type of values in a CDF; unsigned numbers take the next larger signed one."""
    if values.dtype.kind == "f":
        return "CDF_REAL8" if values.dtype.itemsize > 4 else "CDF_REAL4"
    bits = 8 * values.dtype.itemsize + (values.dtype.kind == "u")
    return "CDF_INT2" if bits <= 16 else "CDF_INT4" if bits <= 32 else "CDF_INT8"


def _as_stored(values: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """The CDF type of values, and the values with FILLVAL in place of what is not finite."""
    kind = _kind_of(values)
    if kind.startswith("CDF_REAL"):
        with np.errstate(invalid="ignore"):
            is_good = np.isfinite(values) & (np.abs(values) < _LARGE)
        values = np.where(is_good, values, FILL_REAL)
    return kind, np.ascontiguousarray(values, _DTYPE[kind])
