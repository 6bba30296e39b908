"""What phases give each other: kinds of artifacts, and arrays with names on their axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

EPOCH = "seconds since 1970-01-01 00:00:00"
"""Units of times in the store."""


@dataclass(frozen=True)
class Artifact:
    """A kind of thing that a phase gives: of each item files or HDF5 datasets, or one for the run.

    As something that is needed, only the name must be said; what else is said must hold.
    """

    name: str
    """What other phases know it by."""
    extension: str = ""
    """Of files, as in ".png"."""
    dataset: str = ""
    """Name of the HDF5 datasets, one in every group of an item that has it."""
    dims: tuple[str, ...] = ()
    """Of the dataset, in order."""
    units: str = ""
    """Of the dataset, as udunits reads them; "1": a pure number."""
    long_name: str = ""
    of: Literal["item", "run"] = "item"
    """Of each item, or one for the whole run: the file `{name}.json` of the run directory."""

    def __str__(self) -> str:
        """As sentences have it: "density" (dataset density of (time) in cm-3)."""
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
        told = " ".join(parts)
        return f'"{self.name}" ({told})' if told else f'"{self.name}"'

    def fits(self, needed: Artifact) -> bool:
        """Whether this is what is `needed`, as far as that says."""
        said = (one.name for one in fields(self) if one.name not in ("long_name", "of"))
        return all(getattr(needed, one) in ("", (), getattr(self, one)) for one in said)


@dataclass(frozen=True)
class Dataset:
    """An array, and what it is."""

    name: str
    values: NDArray[Any]
    dims: tuple[str, ...]
    units: str = ""
    long_name: str = ""
    coordinates: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Name of a dimension → (size of it,) where its points lie; "time": s since 1970 UTC."""

    def __post_init__(self) -> None:
        """Raise `ValueError` where sizes do not fit."""
        if self.values.ndim != len(self.dims):
            raise ValueError(
                f"{self.name} has {self.values.ndim} axes; its kind has {len(self.dims)} "
                f"({', '.join(self.dims) or 'none'})"
            )
        sizes = dict(zip(self.dims, self.values.shape, strict=True))
        for dim, points in self.coordinates.items():
            if dim not in sizes:
                raise ValueError(f"{self.name} has no dimension {dim} to have coordinates")
            if points.shape != (sizes[dim],):
                raise ValueError(
                    f"{self.name} has {sizes[dim]} along {dim}, and coordinates for {points.shape}"
                )


@dataclass(frozen=True)
class Group:
    """Datasets of an item that belong together: `/{item}/{name}` in the store."""

    name: str
    datasets: Mapping[str, Dataset] = field(default_factory=dict)

    @property
    def coordinates(self) -> dict[str, NDArray[Any]]:
        """Of all datasets together. Raises `ValueError` where two differ."""
        found: dict[str, NDArray[Any]] = {}
        for one in self.datasets.values():
            for dim, points in one.coordinates.items():
                if dim in found and not np.array_equal(found[dim], points, equal_nan=True):
                    raise ValueError(f"two datasets of group {self.name} differ in their {dim}")
                found[dim] = points
        return found
