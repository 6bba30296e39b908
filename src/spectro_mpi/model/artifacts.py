"""What phases exchange: kinds of artifacts, and arrays with named dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

EPOCH = "seconds since 1970-01-01 00:00:00"
"""Units of the times in the store."""
BOUNDS = "_bounds"
"""Suffix of the dataset with the borders of a coordinate, which its attribute `bounds` names."""


@dataclass(frozen=True)
class Artifact:
    """A kind of output of a phase: files or HDF5 datasets of each item, or one file of the run.

    In `Phase.needs` only the name is required; any other field that is set must match what an
    earlier phase gives.
    """

    name: str
    """The name other phases refer to it by."""
    extension: str = ""
    """Extension of its files, as in ".png"."""
    dataset: str = ""
    """Name of its HDF5 datasets; each group of an item has at most one."""
    dims: tuple[str, ...] = ()
    """Dimensions of the dataset, in order."""
    units: str = ""
    """Units of the dataset, in udunits syntax; "1": dimensionless."""
    long_name: str = ""
    """Description of the dataset, stored as its attribute `long_name`."""
    of: Literal["item", "run"] = "item"
    """Each item has one, or the whole run: the file `{name}.json` in the run directory."""

    def __str__(self) -> str:
        """The artifact as messages show it: "density" (dataset density of (time) in cm-3)."""
        parts = []
        if self.of == "run":
            parts.append("of the whole run")
        if self.dataset:
            parts.append(f"dataset {self.dataset}")
        if self.dims:
            parts.append(f"of ({', '.join(self.dims)})")
        if self.units:
            parts.append(f"in {self.units}")
        if self.extension:
            parts.append(f"files {self.extension}")
        details = " ".join(parts)
        return f'"{self.name}" ({details})' if details else f'"{self.name}"'

    def fits(self, needed: Artifact) -> bool:
        """Whether this matches `needed`; fields that are empty there match anything."""
        names = (entry.name for entry in fields(self) if entry.name not in ("long_name", "of"))
        return all(getattr(needed, name) in ("", (), getattr(self, name)) for name in names)


@dataclass(frozen=True)
class Dataset:
    """An array with its dimensions, units and coordinates."""

    name: str
    values: NDArray[Any]
    dims: tuple[str, ...]
    units: str = ""
    long_name: str = ""
    coordinates: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Dimension → coordinates of its points, (size of the dimension,); "time": s since 1970 UTC."""

    def __post_init__(self) -> None:
        """Raise `ValueError` if `dims` or `coordinates` do not match the shape of `values`."""
        if self.values.ndim != len(self.dims):
            raise ValueError(
                f"{self.name} has {self.values.ndim} axes, expected {len(self.dims)} "
                f"({', '.join(self.dims) or 'none'})"
            )
        sizes = dict(zip(self.dims, self.values.shape, strict=True))
        for dim, points in self.coordinates.items():
            if dim not in sizes:
                raise ValueError(f"{self.name} has coordinates of {dim}, but no such dimension")
            if points.shape != (sizes[dim],):
                raise ValueError(
                    f"{self.name}: coordinates of {dim} have shape {points.shape}, "
                    f"expected ({sizes[dim]},)"
                )


@dataclass(frozen=True)
class Group:
    """Datasets of one item that belong together: `/{item}/{name}` in the store."""

    name: str
    datasets: Mapping[str, Dataset] = field(default_factory=dict)

    @property
    def coordinates(self) -> dict[str, NDArray[Any]]:
        """Coordinates of all its datasets. Raises `ValueError` if two datasets disagree."""
        merged: dict[str, NDArray[Any]] = {}
        for dataset in self.datasets.values():
            for dim, points in dataset.coordinates.items():
                if dim in merged and not np.array_equal(merged[dim], points, equal_nan=True):
                    raise ValueError(
                        f"two datasets of group {self.name} differ in their coordinates of {dim}"
                    )
                merged[dim] = points
        return merged
