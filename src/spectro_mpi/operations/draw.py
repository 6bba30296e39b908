"""Draw one figure of a CDF file, or of an item of a run: `spectro-mpi draw`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from spectro_mpi.draw.content import FigureContent, Style
from spectro_mpi.draw.contents import content_of, style_of
from spectro_mpi.draw.figure import Painter
from spectro_mpi.draw.layout import LEAST_POINTS
from spectro_mpi.draw.names import SUFFIXES, ExpectedFigure, single_figure
from spectro_mpi.draw.reuse import Reductions
from spectro_mpi.draw.sizes import PRESETS
from spectro_mpi.draw.spans import parse_span
from spectro_mpi.draw.vector import VectorPainter
from spectro_mpi.errors import UserError
from spectro_mpi.inert import inert
from spectro_mpi.operations.draw_source import (
    Subject,
    is_cdf,
    items_of,
    listed,
    subject_of_cdf,
    subjects_of_run,
)
from spectro_mpi.settings.checking import MOST_PIXELS
from spectro_mpi.settings.schema import KindName, LimitsKind
from spectro_mpi.system.atomic import write_atomic

_ITEM = "{item}"
_PLACE = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Request:
    """What to draw, and how."""

    kind: KindName = "pitch-angle"
    instrument: str = ""
    """Empty: the first that there is."""
    limits: LimitsKind | None = None
    """None: the common limits of a run, raw ones of a CDF file unless `axes` are set."""
    time: str = ""
    """As `parse_span` takes it; empty: all data."""
    size: tuple[float, float] | None = None
    """Width and height in inches; None: those of `style`, or `plot.panel_size`."""
    style: str = ""
    """A key of `PRESETS`, or empty."""
    settings: tuple[str, ...] = ()
    """Overrides of settings, as key=value."""
    file: str = ""
    """A settings file for a CDF file; empty: none."""


def draw(source: str, items: list[str], output: str, request: Request) -> list[str]:
    """Draw a figure of each item into a file; return a sentence about each.

    `source` is a CDF file or a run (`run_directory`). `output` ends in .png, .pdf or .svg; for
    several items it contains "{item}". Raises `UserError`.
    """
    if Path(output).suffix.lower() not in SUFFIXES:
        raise UserError(f"-o {output}: expected a name that ends in {', '.join(SUFFIXES)}")
    if unknown := set(_PLACE.findall(output)) - {_ITEM}:
        raise UserError(
            f"-o {output}: {', '.join(sorted(unknown))}: expected {_ITEM}, the id of the item"
        )
    instrument = "" if request.kind in ("instrument-grid", "summary") else request.instrument
    if is_cdf(source):
        if items:
            raise UserError(f"{' '.join(items)}: a CDF file has no items to choose from")
        settings = request.settings
        if request.kind in ("angle", "summary"):  # pitch angles are computed for these only
            settings = (*settings, f'plot.kinds=["{request.kind}"]')
        subject = subject_of_cdf(source, instrument, settings, request.file)
        return [_draw(_painter_of(output), subject, output, request)]
    if request.file:
        raise UserError(f"--settings {request.file}: a run has its own settings; use -s")
    items = items or _only_item(source)
    if len(items) > 1 and _ITEM not in output:
        raise UserError(f"-o {output}: write {_ITEM} in it for a file of each of several items")
    painter = _painter_of(output)
    return [
        _draw(painter, subject, output, request)
        for subject in subjects_of_run(source, items, instrument, request.settings)
    ]


def _painter_of(output: str) -> Painter:
    return Painter() if Path(output).suffix.lower() == ".png" else VectorPainter()


def _only_item(source: str) -> list[str]:
    items = items_of(source)
    if len(items) != 1:
        raise UserError(f"{source}: which item? It has {listed(items)}")
    return items


def _draw(painter: Painter, subject: Subject, output: str, request: Request) -> str:
    figure = _figure(subject, request)
    content = content_of(
        subject.config,
        subject.item,
        subject.spectrograms,
        figure,
        subject.extrema or {},
        subject.marks,
        subject.failures,
    )
    style = style_of(subject.config.plot, figure.scales, figure.kind)
    content = _in_time(content, style, request)
    style = _of_size(style, len(content.panels), request)
    output = output.replace(_ITEM, subject.item)
    path = Path(output)
    if isinstance(painter, VectorPainter):
        drawn = painter.file(content, style, path.suffix.lower().removeprefix("."))
    else:
        width, height = (round(side * style.dpi) for side in style.panel_size)
        if width * height * len(content.panels) > MOST_PIXELS:
            raise UserError(f"{output}: would have more than 250 million pixels; lower plot.dpi")
        drawn = painter.draw(content, style)
    try:
        write_atomic(path, drawn)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None
    others = [name for name in subject.available if name != figure.instrument]
    hint = f" (also: --instrument {', '.join(others)})" if figure.instrument and others else ""
    size = painter.text_points(content, style)
    if size < LEAST_POINTS:
        hint += f"; its text of {size:.1f} points needs a larger --size"
    return inert(f"{output}: {content.title}, limits {content.limits}{hint}")


def _figure(subject: Subject, request: Request) -> ExpectedFigure:
    """The figure that is asked for. Raises `UserError` if there are no data for it."""
    if request.instrument and request.instrument not in subject.available:
        raise UserError(
            f"--instrument {request.instrument}: item {subject.item} has data of "
            f"{listed(subject.available)}"
        )
    limits = request.limits
    has_axes = bool(subject.config.axes or subject.config.fixed_axes)
    if limits is None:
        has_common = subject.extrema is not None or has_axes
        limits = "given_extrema" if has_common else "raw"
    if limits == "given_extrema" and subject.extrema is None and not has_axes:
        raise UserError(
            "--limits given_extrema: a CDF file has no common limits; set limits, as in "
            "-s axes.ees.z_max=1e4, or draw an item of a run"
        )
    if limits == "given_extrema" and subject.extrema == {} and not has_axes:
        raise UserError("the run has no common limits yet; draw with --limits raw")
    if not subject.available:
        raise UserError(f"item {subject.item} has no data")
    return single_figure(
        subject.config, subject.available, request.kind, request.instrument, limits
    )


def _in_time(content: FigureContent, style: Style, request: Request) -> FigureContent:
    if not request.time:
        return content
    window = Reductions().window(content.spectrograms, style.gap_factor)
    if window is None:
        raise UserError(f"--time {request.time}: the item has no times")
    try:
        span = parse_span(request.time, window.begin, window.end)
    except ValueError as error:
        raise UserError(f"--time {error}") from None
    return replace(content, span=span)


def _of_size(style: Style, rows: int, request: Request) -> Style:
    """A style with the size asked for, without zoom columns if size or time is given."""
    if not (request.style or request.size or request.time):
        return style
    style = replace(style, has_zooms=False, keeps_height=request.size is not None)
    size = request.size
    if request.style:
        preset = PRESETS[request.style]
        is_set = {setting.partition("=")[0].strip() for setting in request.settings}
        scale = style.text_scale if "plot.text_scale" in is_set else preset.text_scale
        dpi = style.dpi if "plot.dpi" in is_set else preset.dpi
        is_high = style.keeps_height or preset.height is not None
        style = replace(style, text_scale=scale, dpi=dpi, keeps_height=is_high)
        size = size or (preset.width, preset.height_of(rows))
    if size:
        style = replace(style, panel_size=(size[0], size[1] / max(1, rows)))
    return style
