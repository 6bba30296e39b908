"""What the description of a figure, in its PNG file, says of the figure and of its panels."""

from __future__ import annotations

from typing import Any

from spectro_mpi.draw.bars import Ends
from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.names import DRAWING
from spectro_mpi.draw.palette import FLAGGED, UNDER, marker_of, palette_of
from spectro_mpi.draw.room import Row
from spectro_mpi.model.marks import Event


def origin_of(panel: Panel) -> dict[str, Any]:
    """Return the instrument and category of a panel, and the unit of its vertical axis.

    If it shows several instruments, it has all of them, too, the first to be shown first.
    """
    spectrogram = panel.spectrogram
    several = [each.instrument for each, _ in panel.layers] if panel.beside else []
    return {
        "instrument": spectrogram.instrument,
        **({"instruments": several} if several else {}),
        "category": spectrogram.category[panel.category],
        "y_units": spectrogram.legend.units if panel.is_line else spectrogram.legend.axis_units,
        **({"lines": _lines_of(panel)} if panel.is_line else {}),
        **({"curves": len(panel.curves)} if panel.curves else {}),
    }


def axes_of(row: Row, style: Style, ends: Ends, note: str) -> dict[str, Any]:
    """Return what a program needs, besides position and times, to read values off one panel.

    A panel with lines has "y", the values at its bottom and top edge, in place of the axes of
    energies and of colours.
    """
    if row.is_line:
        signed = {"threshold": row.y_scale.threshold} if row.y_scale.kind == "symlog" else {}
        axes = {
            "y": [row.y_scale.low, row.y_scale.high],
            "y_scale": row.y_scale.kind,
            **signed,
            "y_label": row.y_label,
        }
        return {**axes, "note": note} if note else axes
    axes = {
        "energy": [row.y_scale.low, row.y_scale.high],
        "y_scale": row.y_scale.kind,
        "y_label": row.y_label,
        "z": [row.z_scale.low, row.z_scale.high],
        "z_scale": row.z_scale.kind,
        "z_label": row.z_label,
        "colormap": style.colormap,
        "extend": ends.extend,
    }
    return {**axes, "note": note} if note else axes


def description_of(
    content: FigureContent, style: Style, events: tuple[Event, ...], panels: list[dict[str, Any]]
) -> dict[str, Any]:
    """Describe a figure; `panels` are the entries of its panels."""
    description = {
        "item": content.item,
        "kind": content.kind,
        "limits": content.limits,
        "sources": list(content.sources),
        **_provenance(content),
        "version": DRAWING,
        "panels": panels,
    }
    rgb = palette_of(style.colormap).rgb
    if any(panel.get("z_scale") == "log" for panel in panels):
        description["under"] = rgb[UNDER].tolist()
    if any("flagged" in panel for panel in panels):
        description["flag"] = rgb[FLAGGED].tolist()
    if events:
        # Pixels of these colours in a data area are lines at these times, not data.
        description["events"] = [
            {
                "start": event.start,
                "end": event.end,
                "label": event.label,
                "color": rgb[marker_of(event.number)].tolist(),
            }
            for event in events
        ]
    return description


def _lines_of(panel: Panel) -> list[dict[str, str]]:
    """The lines of a panel, the darkest first."""
    names = panel.names or ("",) * len(panel.layers)
    return [
        {
            "instrument": spectrogram.instrument,
            "category": spectrogram.category[place],
            **({"label": name} if name else {}),
        }
        for (spectrogram, place), name in zip(panel.layers, names, strict=True)
    ]


def _provenance(content: FigureContent) -> dict[str, Any]:
    """Return the digests of the sources, and of the settings that they were reduced with."""
    shown = {each.source: each.provenance for each in content.spectrograms}
    settings = sorted({made.settings for made in shown.values() if made.settings})
    digests = [shown[name].sha256 if name in shown else "" for name in content.sources]
    return {"sha256": digests, "settings": " ".join(settings)}
