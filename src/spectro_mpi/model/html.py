"""Pieces of HTML for notebooks: tables, and small pictures inside the text."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.inert import inert_lines

_WIDTH, _HEIGHT = 360, 96
"""Size of a thumbnail, pixels."""
_COLORS = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float64
)
"""Colours at even steps of the scale, like the default colour map of figures."""


def heading(text: str) -> str:
    """A line in bold."""
    return f"<p><strong>{_escaped(text)}</strong></p>"


def paragraph(text: str) -> str:
    """A paragraph."""
    return f"<p>{_escaped(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], most: int = 20) -> str:
    """A table of at most `most` rows, and how many more there are."""
    rows = list(rows)
    shown = [_row("td", row) for row in rows[:most]]
    more = f"<p>… and {len(rows) - most} more</p>" if len(rows) > most else ""
    return f"<table><thead>{_row('th', head)}</thead><tbody>{''.join(shown)}</tbody></table>{more}"


def _row(cell: str, values: Iterable[object]) -> str:
    cells = "".join(f"<{cell}>{_escaped(value)}</{cell}>" for value in values)
    return f"<tr>{cells}</tr>"


def _escaped(value: object) -> str:
    """A value as text that is no markup and can be encoded."""
    return html.escape(inert_lines(str(value)))


def picture(content: bytes, kind: str, text: str) -> str:
    """An image file as part of the text; `text` is its alternative, `kind` "png" or "jpeg"."""
    data = base64.b64encode(content).decode()
    return f'<img alt="{_escaped(text)}" src="data:image/{kind};base64,{data}">'


def thumbnail(values: NDArray[np.floating[Any]], text: str) -> str:
    """A picture of (record, channel) values on a log colour scale, channels from the bottom up.

    Every pixel shows the largest value in it; missing values are white.
    """
    from PIL import Image

    reduced = _largest(_largest(np.asarray(values, np.float64), _WIDTH).T, _HEIGHT)[::-1]
    positive = reduced[reduced > 0]
    pixels = np.full((*reduced.shape, 3), 255.0)
    if positive.size:
        low, high = np.log10(np.percentile(positive, [1, 99.5]))
        with np.errstate(divide="ignore", invalid="ignore"):
            place = (np.log10(reduced) - low) / max(high - low, 1e-9)
        at = np.clip(np.nan_to_num(place, nan=0.0, neginf=0.0), 0, 1) * (len(_COLORS) - 1)
        for channel in range(3):
            pixels[..., channel] = np.interp(at, range(len(_COLORS)), _COLORS[:, channel])
    pixels[np.isnan(reduced)] = 255
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).resize((_WIDTH, _HEIGHT), 0).save(file, "PNG")
    return picture(file.getvalue(), "png", text)


def _largest(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """The largest value in each of at most `most` groups of rows; NaN where there is none."""
    if len(values) <= most:
        return values
    starts = np.linspace(0, len(values), most, endpoint=False).astype(int)
    return np.fmax.reduceat(values, starts, axis=0)
