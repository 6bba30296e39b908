"""The settings file and the list of cusp events of the sample data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

import numpy as np

from spectro_mpi.demo.orbits import OrbitPlan

_EVENT_COLUMNS = (
    "Orbit Number",
    *(f"{name} {edge} Index" for name in ("ees", "ies") for edge in ("min", "Max")),
    *(f"{name} {edge} Time" for name in ("ees", "ies") for edge in ("Start", "End")),
    "Label",
)

SETTINGS = """\
# Settings of spectro-mpi. Run with:  mpirun -n 4 spectro-mpi run spectro-mpi.toml
# Lines that are commented out show the default.

run_id = "fast"          # names the run directory: OUTPUT/RUN_ID
input = "FAST_data"      # searched recursively for fa_esa_l2_*.cdf; relative to this file
output = "runs"
# phases = ["reduce", "plot"]    # also "atlas": maps of the whole run; best with quantity = "eflux"

[select]
# orbits = ""            # all of them; or "13312-13400,13500"
# skip = []              # orbits to leave out
# start = ""             # only files that begin in this time, UTC: "2000-01-01"
# stop = ""
# instruments = ["ees", "eeb", "ies", "ieb"]   # electron/ion survey (s) and burst (b)

[data]
# preset = "fast-esa"    # kind of the input files
quantity = "counts"      # decoded, summed over a category's bins; or averages that can be compared
                         # between modes: "rate", "eflux", "flux"; or "codes"
# retrace = false        # true: also energy steps that are no measurement
# quality = "mark"       # records of overflow or dead time; or "drop", "ignore"
# errors = false         # true: store uncertainties
# angle_borders = ""     # bins at borders: "fraction" or "centre"; empty: by quantity
# angle_weight = "pitch-angle"   # solid angle of a bin's ring; or "domega" of the file
# cadence = ""           # "60 s": sums of counts, means of anything else over that time
# chunk_records = 4096   # records in memory at a time

[angles]                 # energy bands of figures of kind "angle", eV; by default those of FAST
# bands = { ees = [[100, 1000], [1000, 40000]], ies = [[50, 1000], [1000, 30000]] }

[atlas]                  # maps over local time and latitude, if phases has "atlas"
# bands = { ees = [[100, 1000], [1000, 40000]], ies = [[50, 1000], [1000, 30000]] }
# mlt_hours = 1.0        # cells: hours of magnetic local time,
# ilat = [50, 90]        # invariant latitudes,
# ilat_degrees = 2.0
# altitudes = [0, 1500, 3000, 4500]            # km
# percentiles = [10, 25, 50, 75, 90]
# beam_factor = 3.0      # a beam is so many times the perpendicular flux,
# beam_counts = 3.0      # and so many times the one-count level,
# beam_channels = 3      # in so many neighbouring channels
# formats = ["png", "pdf"]

[ephemeris]              # where the spacecraft was: labels under the time axis, and directions
# file = "fa_k0_orb_{orbit}_v{version}.cdf"    # beside the data; "none": not read
# time = ""              # variable of the times; empty: by attributes
# variables = { alt = "alt", ilat = "ilat", mlt = "mlt", flat = "flat", flng = "flng" }

[pitch_angles]           # rows: degrees, [from, to), or directions, which follow the hemisphere
all = [[0, 360]]
downgoing = { toward = "earth", within = 30 }   # 0 along B is earthward in the northern hemisphere,
upgoing = { away = "earth", within = 30 }       # 180 in the southern
perpendicular = [[40, 140], [220, 320]]
parallel = []            # defaults that this leaves out
antiparallel = []
# precipitating = { losscone = "down" }         # or "up": the cone away from earth

[extrema]                # the axis limits that all orbits share
# max_percentile = 95.0  # the colour scale ends at this percentile of all positive values
# min_percentile = 0.1   # a log colour scale begins at this one; 0: at the smallest value
# energy_coverage = 0.99 # the energy axis ends where this part of the data lies below

[plot]
scales = [["log", "log"]]                # pairs of energy and colour scale
# limits = ["given_extrema", "raw"]      # common limits, and each figure's own
# kinds = ["pitch-angle", "instrument-grid"]   # also "angle": pitch angle against time
                                               # "summary": a page with all of them, and lines
# summary = []                           # panels of figures of kind "summary"; by default FAST's
# axes = "extrema"                       # or "spedas": fixed axes, for eflux
# fold_angles = false                    # figures of kind "angle" from 0 to 180 instead of 360
# category_limits = "own"                # or "instrument": the same in all rows of it
# dpi = 200
# panel_size = [12.0, 3.0]               # inches
# text_scale = 1.0                       # size of text and margins
# formats = ["png"]                      # also "pdf", "svg"
# colormap = ""                          # by scale pair: viridis, cividis, plasma, inferno
# y_label = ""                           # empty: name and unit of the channels
# z_label = ""                           # empty: name and unit of the quantity
events = "events.csv"                    # table of events to mark; relative to this file
# event_label = "event"                  # of events without a label in the table
# zoom_minutes = 6.25                    # around an event
# ephemeris = ["alt", "ilat", "mlt"]     # labels under the time axis, of [ephemeris] variables
# gap_factor = 2.5                       # a step above this many local widths is a gap

[run]
# flush_batch_size = 0                   # items per write; 0: by the number of workers
# flush_interval_seconds = 30.0
# log_flush_batch_size = 0               # 0: as flush_batch_size
# orbit_timeout_seconds = 60.0
# instrument_timeout_seconds = 30.0
# retry_timeouts = true
# isolation = "process"                  # a crash costs one item; or "none": in the rank itself
# memory_limit_mb = 0                    # 0: its share of the job's memory limit, if any
# schedule = "balanced"                  # "snake": no worker takes from another's stack

# Common limits set by hand, for an instrument or one of its categories ("ees.upgoing"); on a
# logarithmic axis above 0:
# [axes.ees]
# y_min = 5.0
# y_max = 30000.0
# z_min = 1.0
# z_max = 4000.0
"""


def event_rows(orbits: Iterable[OrbitPlan]) -> list[str]:
    """Return the lines of the event list: a header, and a line per orbit that crosses the cusp.

    The indices are the first and last record of the instrument's file (its highest version)
    that lies in the cusp, counted from 0; the times are the start of the first and the end of the
    last, UTC.
    """
    rows = [",".join(_EVENT_COLUMNS)]
    for orbit in orbits:
        marked = [_marked_records(orbit, name) for name in ("ees", "ies")]
        indices = [str(index) for mark in marked if mark for index in mark[:2]]
        times = [_utc(time) for mark in marked if mark for time in mark[2:]]
        if all(marked):
            rows.append(",".join([str(orbit.orbit), *indices, *times, "cusp"]))
    return rows


def _marked_records(orbit: OrbitPlan, instrument: str) -> tuple[int, int, float, float] | None:
    """Return the first and last record in the cusp, its start and its end; None: there are none."""
    cusp, file = orbit.cusp, orbit.best_file(instrument)
    if cusp is None or file is None:
        return None
    starts = file.record_starts()
    (inside,) = np.nonzero((starts >= cusp.start) & (starts <= cusp.end))
    if not len(inside):
        return None
    first, last = int(inside[0]), int(inside[-1])
    return first, last, float(starts[first]), float(file.record_ends()[last])


def _utc(time: float) -> str:
    text = datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
