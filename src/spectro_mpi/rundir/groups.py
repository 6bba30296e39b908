"""Write and read one HDF5 group of the store: a spectrogram, or datasets of a user's phase.

Spectrograms are written with h5py's low-level API, and what repeats is cached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from functools import cache
from typing import Any

import h5py
import numpy as np
from h5py import h5ds
from numpy.typing import NDArray

from spectro_mpi.instruments import fast_esa
from spectro_mpi.model.artifacts import EPOCH, Dataset, Group
from spectro_mpi.model.ephemeris import Variable
from spectro_mpi.model.spectrogram import Legend, Provenance, Spectrogram, data_digest
from spectro_mpi.rundir.bounds import Scalars, read_texts
from spectro_mpi.rundir.datasets import (
    TEXT,
    array_of,
    create,
    describe,
    fill,
    member,
    own_datasets,
    refuse_foreign,
)
from spectro_mpi.rundir.moment_groups import read_moments, write_moments
from spectro_mpi.settings.parsing import parsed_json

EDGES = "_edges"
"""Suffix of the dataset of channel edges: "energy_edges"."""
INTERVALS, QUALITY = "category_intervals", "data_quality"
"""Datasets of the pitch angles of categories, and of flags; absent where they are not known."""
ANGLES, BAND, ANGLE = "angles", "band", "angle"
"""Datasets of the pitch-angle spectrograms, their bands and angles; absent without them."""
EPHEMERIS = "ephemeris"
"""Attribute of a group with an ephemeris: JSON, dataset → its units, long name and period."""
DIGEST = "digest"
"""Attribute with the digest of the data (`model.spectrogram.data_digest`)."""
ERROR = "_error"
"""Suffix of the dataset of uncertainties: "eflux_error"; absent where they were not computed."""
_NETCDF_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable. %10d"


def write_group(
    group: Any, spectrogram: Spectrogram, digest: str = ""
) -> dict[str, tuple[str, ...]]:
    """Write a spectrogram into `group` (a low-level `h5py.h5g.GroupID`).

    Returns dataset → names of its dimensions; the caller attaches their scales.
    """
    written: dict[str, tuple[str, ...]] = {}
    legend, quantity = spectrogram.legend, spectrogram.quantity
    records, channels = spectrogram.values.shape[1:]
    tables = len(spectrogram.energy)
    sizes = {"record": records, "channel": channels, "table": tables, "bound": 2}
    if spectrogram.intervals.size:
        sizes["interval"] = spectrogram.intervals.shape[1]
    for name, size in sizes.items():
        scale = create(group, name, np.dtype("f4"), (size,))
        h5ds.set_scale(scale, unnamed_scale(size))
    if spectrogram.by_angle is not None:
        _write_angle_scales(group, spectrogram.by_angle)
    names = np.array(spectrogram.category, TEXT)
    category = create(group, "category", names.dtype, names.shape)
    fill(category, names)
    h5ds.set_scale(category, b"category")
    describe(category, long_name="Pitch-angle category")
    for name, dims, data, long_name, units in _datasets(spectrogram):
        dataset = create(group, name, data.dtype, data.shape)
        fill(dataset, data)
        written[name] = tuple(dims.split())
        for axis, dim in enumerate(written[name]):
            h5ds.set_label(dataset, axis, dim.encode())
        describe(dataset, long_name=long_name, units=units)
        if name == quantity:
            describe(dataset, coordinates="time mode")
            if spectrogram.errors.size:
                describe(dataset, ancillary_variables=quantity + ERROR)
    describe(
        group,
        coordinates=f"{legend.axis} {legend.axis}{EDGES} time_start time_end",
        quantity=quantity,
        legend=_as_json(legend),
        source=spectrogram.source,
        source_size=spectrogram.source_size,
        source_sha256=spectrogram.provenance.sha256,
        provenance=_without_digest(replace(spectrogram.provenance, sha256="")),
    )
    if digest:
        describe(group, **{DIGEST: digest})
    if spectrogram.ephemeris:
        described = {each.name: _about(each) for each in spectrogram.ephemeris}
        describe(group, **{EPHEMERIS: json.dumps(described)})
    if spectrogram.notes:
        describe(group, notes="\n".join(spectrogram.notes))
    if spectrogram.moments is not None:
        write_moments(group, spectrogram.moments)
    return written


def _write_angle_scales(group: Any, by_angle: Spectrogram) -> None:
    """Write the scales of the pitch-angle spectrograms: names of bands, middles of angles."""
    names = np.array(by_angle.category, TEXT)
    for name, points, long_name in (
        (BAND, names, "Energy band"),
        (ANGLE, by_angle.energy[0], "Middle of the pitch angles"),
    ):
        scale = create(group, name, points.dtype, points.shape)
        fill(scale, points)
        h5ds.set_scale(scale, name.encode())
        describe(scale, long_name=long_name)
        if name == ANGLE:
            describe(scale, units="degrees")


def _about(variable: Variable) -> tuple[str, str, float]:
    return variable.units, variable.long_name, variable.period


def _datasets(spectrogram: Spectrogram) -> Iterator[tuple[str, str, NDArray[Any], str, str]]:
    """Name, dimensions, values, long name and units of each dataset, except `category`."""
    legend, quantity = spectrogram.legend, spectrogram.quantity
    yield "time", "record", spectrogram.time, "Centre of the record, UTC", EPOCH
    yield "time_start", "record", spectrogram.time_start, "Start of the record, UTC", EPOCH
    yield "time_end", "record", spectrogram.time_end, "End of the record, UTC", EPOCH
    yield "mode", "record", spectrogram.mode, "Row of the energy table in use", "1"
    centres, axis_units = "Centre of the channel by mode", legend.axis_units or "1"
    yield legend.axis, "table channel", spectrogram.energy, centres, axis_units
    bounds = "Lower and upper edge of the channel by mode"
    yield legend.axis + EDGES, "table channel bound", spectrogram.edges, bounds, axis_units
    dims, units = "category record channel", legend.units or "1"
    yield quantity, dims, spectrogram.values, legend.long_name, units
    if spectrogram.errors.size:
        long_name = f"Uncertainty of {quantity} (1 sigma)"
        yield quantity + ERROR, dims, spectrogram.errors, long_name, units
    if spectrogram.intervals.size:
        long_name = "Pitch angles of the category, from (inclusive) and to (exclusive)"
        yield INTERVALS, "category interval bound", spectrogram.intervals, long_name, "degrees"
    if spectrogram.quality.size:
        yield QUALITY, "record", spectrogram.quality, "Flags of the record, 0: good", "1"
    if spectrogram.by_angle is not None:
        long_name = spectrogram.by_angle.legend.long_name
        yield ANGLES, f"{BAND} record {ANGLE}", spectrogram.angles, long_name, units
        long_name = "Lower and upper end of the energy band"
        yield BAND + EDGES, f"{BAND} bound", spectrogram.bands, long_name, axis_units
    for of_record in spectrogram.ephemeris:
        yield of_record.name, "record", of_record.values, of_record.long_name, of_record.units


def read_group(group: h5py.Group) -> Spectrogram:
    """Read a spectrogram. Raises one of `store.UNREADABLE` if the file is damaged."""
    datasets = own_datasets(group)

    def read(name: str) -> NDArray[Any]:
        if name not in datasets:
            raise KeyError(f"{group.name} has no dataset {name}")
        return array_of(datasets[name])

    instrument = group.name.rpartition("/")[2]
    attributes = Scalars(group)
    if "legend" in attributes:
        quantity = str(attributes["quantity"])
        legend = _legend(parsed_json(attributes["legend"]))
    else:  # written by a version that supported only FAST
        quantity, meaning = ("counts", "codes") if "counts" in datasets else ("eflux", "eflux")
        legend = fast_esa.legend(instrument, meaning)
    # Groups of earlier versions do not have these.
    later = {
        "edges": legend.axis + EDGES,
        "intervals": INTERVALS,
        "quality": QUALITY,
        "errors": quantity + ERROR,
        "angles": ANGLES,
        "bands": BAND + EDGES,
    }
    present: dict[str, Any] = {
        field: read(name) for field, name in later.items() if name in datasets
    }
    spectrogram = Spectrogram(
        instrument=instrument,
        quantity=quantity,
        category=tuple(read_texts(group["category"])),
        time=read("time"),
        time_start=read("time_start"),
        time_end=read("time_end"),
        mode=read("mode"),
        energy=read(legend.axis),
        values=read(quantity),
        source=str(attributes["source"]),
        source_size=int(attributes["source_size"]),
        notes=tuple(str(attributes.get("notes", "")).splitlines()),
        legend=legend,
        **present,
        ephemeris=tuple(_ephemeris_of(attributes, read)),
        moments=read_moments(group),
        provenance=provenance_of(attributes),
    )
    _refuse_other_shapes(spectrogram)
    return spectrogram


def _refuse_other_shapes(spectrogram: Spectrogram) -> None:
    """Raise `ValueError` if arrays are no numbers, or do not fit each other."""
    shape = (len(spectrogram.category), len(spectrogram.time), *spectrogram.energy.shape[1:])
    records = shape[1:2]
    expected: tuple[tuple[str, NDArray[Any], tuple[int, ...], str], ...] = (
        ("values", spectrogram.values, shape, "fiu"),
        ("time", spectrogram.time, records, "f"),
        ("time_start", spectrogram.time_start, records, "f"),
        ("time_end", spectrogram.time_end, records, "f"),
        ("mode", spectrogram.mode, records, "iu"),
        *((each.name, each.values, records, "f") for each in spectrogram.ephemeris),
        *_expected_angles(spectrogram),
        *([("moments", spectrogram.moments.time, records, "f")] if spectrogram.moments else ()),
        ("energy", spectrogram.energy, (len(spectrogram.energy), *shape[2:3]), "f"),
    )
    for name, array, wanted, kinds in expected:
        if array.shape != wanted or array.dtype.kind not in kinds:
            raise ValueError(f"{name} has shape {array.shape} and type {array.dtype}")


def _expected_angles(
    spectrogram: Spectrogram,
) -> Iterator[tuple[str, NDArray[Any], tuple[int, ...], str]]:
    angles, bands = spectrogram.angles, spectrogram.bands
    if angles.size or bands.size:
        shape = (len(bands), len(spectrogram.time), *angles.shape[2:3])
        yield "angles", angles, shape, "f"
        yield "bands", bands, (len(bands), 2), "f"


def digest_of(group: h5py.Group) -> str:
    """The digest of a spectrogram; computed from its data if an earlier version wrote the group.

    Raises one of `store.UNREADABLE` if the file is damaged.
    """
    return str(Scalars(group).get(DIGEST, "")) or data_digest(read_group(group))


def legend_of(text: Any) -> Legend:
    """The legend that an attribute holds as JSON. Raises `ValueError` or `TypeError`."""
    return _legend(parsed_json(text))


def _legend(table: Mapping[str, Any]) -> Legend:
    """A legend from JSON. Raises `ValueError` or `TypeError` if it is none."""
    legend = Legend(**table)
    if any(type(value) is not type(default) for value, default in _with_defaults(legend)):
        raise ValueError("the legend has a value of another type")
    return legend


def _with_defaults(legend: Legend) -> Iterator[tuple[object, object]]:
    return ((getattr(legend, each.name), each.default) for each in fields(Legend))


def provenance_of(attributes: Mapping[str, Any]) -> Provenance:
    """What the attributes say; earlier versions wrote neither."""
    made = parsed_json(attributes.get("provenance", "{}"))
    return Provenance(str(attributes.get("source_sha256", "")), **made)


def _ephemeris_of(
    attributes: Mapping[str, Any], read: Callable[[str], NDArray[Any]]
) -> Iterator[Variable]:
    """The variables that the attribute `ephemeris` describes; `read` reads a dataset."""
    described = parsed_json(attributes.get(EPHEMERIS, "{}"))
    for name, (units, long_name, period) in dict(described).items():
        yield Variable(name, read(name), str(units), str(long_name), float(period))


@cache
def _as_json(legend: Legend) -> str:
    return json.dumps(asdict(legend), ensure_ascii=False)


@cache
def _without_digest(provenance: Provenance) -> str:
    """All but the digest of the file, as JSON: it is the same for many files."""
    content = asdict(provenance)
    del content["sha256"]
    return json.dumps(content)


def write_datasets(group: h5py.Group, content: Group) -> dict[str, tuple[str, ...]]:
    """Write the datasets of a user's phase.

    A dimension with coordinates becomes a dataset; any other becomes a scale without values.
    Returns dataset → names of its dimensions; the caller attaches their scales. Raises
    `ValueError` if two datasets differ in the length of a dimension.
    """
    coordinates = content.coordinates
    for dataset in content.datasets.values():
        for dim, size in zip(dataset.dims, dataset.values.shape, strict=True):
            if dim in group:
                if group[dim].shape != (size,):
                    raise ValueError(f"two datasets of group {content.name} differ along {dim}")
            elif dim in coordinates:
                scale = group.create_dataset(dim, data=_storable(coordinates[dim]))
                scale.make_scale(dim)
                if dim == "time":
                    scale.attrs["units"] = EPOCH
            else:
                scale = group.create_dataset(dim, (size,), "f4")
                scale.make_scale(unnamed_scale(size))
        data = _storable(dataset.values)
        kind = h5py.string_dtype() if data.dtype == object else None
        written = group.create_dataset(dataset.name, data=data, dtype=kind)
        for axis, dim in enumerate(dataset.dims):
            written.dims[axis].label = dim
        for name, text in (("units", dataset.units), ("long_name", dataset.long_name)):
            if text:
                written.attrs[name] = text
    return {dataset.name: dataset.dims for dataset in content.datasets.values()}


def read_datasets(group: h5py.Group) -> Group:
    """Read what `write_datasets` wrote; raises one of `store.UNREADABLE` if the file is damaged."""
    datasets: dict[str, Dataset] = {}
    refuse_foreign(group)
    for name, dataset in group.items():
        if dataset.is_scale:
            continue
        dims = tuple(dim.label for dim in dataset.dims)
        scales = {dim: member(group, dim) for dim in dims}
        points = {dim: read_values(scale) for dim, scale in scales.items() if holds_values(scale)}
        attributes = Scalars(dataset)
        units, long_name = (str(attributes.get(key, "")) for key in ("units", "long_name"))
        datasets[name] = Dataset(name, read_values(dataset), dims, units, long_name, points)
    return Group(group.name.rpartition("/")[2], datasets)


def unnamed_scale(size: int) -> bytes:
    """The name of a dimension scale without values, by which netCDF knows it."""
    return _NETCDF_NO_VARIABLE % size


def _storable(values: Any) -> Any:
    """Values as HDF5 stores them: NumPy strings become Python objects."""
    return values.astype(object) if values.dtype.kind in "UT" else values


def read_values(dataset: Any) -> Any:
    """All values of a dataset (`h5py.Dataset`); texts as NumPy strings."""
    return read_texts(dataset).astype(str) if dataset.dtype == object else dataset[()]


def holds_values(scale: Any) -> bool:
    """Whether a dimension scale has values, which makes it a netCDF variable."""
    return not Scalars(scale).get("NAME", b"").startswith(_NETCDF_NO_VARIABLE[:20])
