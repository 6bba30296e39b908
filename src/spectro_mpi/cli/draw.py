"""`draw`: one figure of a CDF file or of an item of a run."""

from __future__ import annotations

import argparse

from spectro_mpi.cli.arguments import Commands, add_overrides

_KINDS = ("pitch-angle", "instrument-grid", "angle", "summary")
_STYLES = ("single-column", "double-column", "slides")
_LIMITS = {"given_extrema": "given_extrema", "common": "given_extrema", "raw": "raw"}


def add(commands: Commands) -> None:
    """Add the arguments of `draw`."""
    draw = commands.add_parser(
        "draw",
        help="draw one figure of a CDF file or of a run, as PNG, PDF or SVG",
        description="Draw one figure of a CDF file, or of items of a run: "
        "`spectro-mpi draw RUN_DIR 13312 -o orbit.pdf --style single-column`. Without --time, "
        "--size and --style it is the figure of the run.",
    )
    draw.add_argument(
        "source", metavar="SOURCE", help="CDF file; or a run: directory, settings file or run id"
    )
    draw.add_argument(
        "items", nargs="*", default=[], metavar="ITEM", help="items of the run, such as 13312"
    )
    draw.add_argument(
        "-o",
        dest="output",
        required=True,
        metavar="FILE",
        help="file to write: .png, .pdf or .svg; for several items with {item} in its name",
    )
    draw.add_argument("--kind", choices=_KINDS, default="pitch-angle", help="kind of figure")
    draw.add_argument(
        "--instrument", default="", metavar="NAME", help="instrument (default: the first one)"
    )
    draw.add_argument(
        "--limits",
        choices=tuple(_LIMITS),
        help="limits of the axes: common to all items (given_extrema, common), or of this figure's "
        "data (raw); default: common for a run, raw for a CDF file",
    )
    draw.add_argument(
        "--time",
        default="",
        metavar="FROM,TO",
        help="draw only this time span: times of day such as 23:58,00:12, or dates and times (UTC)",
    )
    draw.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="size of the figure, such as 3.4x5in or 86x120mm (default unit: inches)",
    )
    draw.add_argument(
        "--style", choices=_STYLES, default="", help="size and text for journals or slides"
    )
    draw.add_argument(
        "--settings",
        default="",
        metavar="CONFIG",
        help="settings file for a CDF file (default: by its name, or as `inspect` proposes)",
    )
    add_overrides(draw)
    draw.set_defaults(call=_draw)


def _draw(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.draw import Request, draw

    request = Request(
        kind=arguments.kind,
        instrument=arguments.instrument,
        limits=_LIMITS.get(arguments.limits),  # type: ignore[arg-type]
        time=arguments.time,
        size=arguments.size,
        style=arguments.style,
        settings=tuple(arguments.set),
        file=arguments.settings,
    )
    for sentence in draw(arguments.source, arguments.items, arguments.output, request):
        print(sentence)
    return 0


def _size(word: str) -> tuple[float, float]:
    from spectro_mpi.draw.sizes import parse_size

    try:
        return parse_size(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
