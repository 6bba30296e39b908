"""Arrays for intermediate results, used again by each of many equal steps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class Scratch:
    """Arrays that are used again and again: to make new ones takes as long as to fill them."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.float32]] = {}
        self._shaped: dict[tuple[str, tuple[int, ...]], NDArray[np.float32]] = {}

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The array called `name`, float32, with any content; earlier ones of this name end."""
        if (name, shape) not in self._shaped:
            size = math.prod(shape)
            array = self._arrays.get(name)
            if array is None or array.size < size:
                array = self._arrays[name] = np.empty(size, np.float32)
                self._shaped = {key: one for key, one in self._shaped.items() if key[0] != name}
            self._shaped[name, shape] = array[:size].reshape(shape)
        return self._shaped[name, shape]
