"""What is read of an HDF5 file is bounded before it is read, by shapes and by the file's size.

A dataset may claim any size, and a small file may inflate to any size: a thousand times by
compression, more by texts or chunks that all lie at the same place of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_BYTES = 256 << 20
_BYTES_PER_BYTE = 20
"""Most that the arrays of a group may take, and how much more for each byte of the file. This
program compresses state only, which needs less than a tenth of it."""


def allowed_bytes(file: Any) -> int:
    """The most bytes that the arrays of one group of a file may take."""
    return _LEAST_BYTES + _BYTES_PER_BYTE * int(file.id.get_filesize())


def refuse_size(file: Any, datasets: Iterable[Any]) -> None:
    """Raise `ValueError` if datasets of one group are too large together to be what they claim.

    `datasets`: low-level `h5py.h5d.DatasetID`.
    """
    size = 0
    for dataset in datasets:
        size += dataset.get_space().get_simple_extent_npoints() * dataset.get_type().get_size()
    if size > allowed_bytes(file):
        raise ValueError(f"its arrays would take {size / 1e6:,.0f} MB")


def read_texts(dataset: Any) -> NDArray[Any]:
    """All texts of a dataset of texts, in its shape.

    Raises `ValueError` if they take too much memory together.
    """
    if dataset.size * dataset.file.id.get_filesize() <= allowed_bytes(dataset.file):
        whole: NDArray[Any] = dataset.asstr()[()]  # none is longer than the file
        return whole
    texts = np.empty(dataset.shape, object)
    left = allowed_bytes(dataset.file)
    for place in np.ndindex(*dataset.shape):
        text = dataset.asstr()[place]
        left -= len(text)
        if left < 0:
            raise ValueError(f"the texts of {dataset.name} take too much memory")
        texts[place] = text
    return texts


class Scalars(Mapping[str, Any]):
    """The attributes of an HDF5 object. Reading one that is no single value is a `ValueError`."""

    def __init__(self, target: Any) -> None:
        self._attributes = target.attrs

    def __getitem__(self, name: str) -> Any:
        attribute = self._attributes.get_id(name)
        kind = attribute.dtype
        if attribute.shape != () or kind.subdtype is not None:
            raise ValueError(f"attribute {name} is not a single value")
        # `AttributeManager.__getitem__` would open it once more, and take twice as long.
        cell = np.zeros((), kind)
        attribute.read(cell)
        value = cell[()]
        return value.decode("utf-8", "surrogateescape") if type(value) is bytes else value

    def __contains__(self, name: object) -> bool:
        return name in self._attributes

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)
