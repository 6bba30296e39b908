"""The plan of one orbit: the plasma structures that FAST crosses, and the files to write.

In the archive, survey records are 2.5 s apart, about 800 per orbit. In the demo they are 2.5 to
20 s apart (FAST had slow survey modes too), so that files of a few hundred records still cover a
whole pass over the auroral zone and the polar cap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt

from spectro_mpi.demo.tables import INSTRUMENTS, Instrument, mode_tables
from spectro_mpi.demo.track import ORBIT_SECONDS, Track

Floats = npt.NDArray[np.float64]

FIRST_ORBIT = 13312
FIRST_ORBIT_START = datetime(2000, 1, 1, 0, 17, 37, tzinfo=timezone.utc).timestamp()
BURST_CADENCE = 0.0780375  # s, of one 48-channel sweep
SURVEY_CADENCES = (2.5, 5.0, 10.0, 20.0)  # s
LARGEST_BURST = 80_000  # the most records that fit into an orbit


@dataclass(frozen=True)
class Structure:
    """A plasma structure that FAST crosses from `centre - half_width` to `centre + half_width`."""

    kind: str  # "inverted-v", "alfvenic" or "cusp"
    centre: float  # s since 1970
    half_width: float  # s
    energy: float  # eV: highest peak of an inverted V, highest ion energy of a cusp
    strength: float  # factor on the typical flux
    ion_beam: bool = False  # an inverted V below FAST accelerates ions upward
    phase: float = 0.0  # of the ripples of the flux, radians

    @property
    def start(self) -> float:
        return self.centre - self.half_width

    @property
    def end(self) -> float:
        return self.centre + self.half_width


@dataclass(frozen=True)
class Segment:
    """Consecutive records of one mode."""

    mode: int
    start: float  # s since 1970, start of the first record
    cadence: float  # s
    count: int

    @property
    def end(self) -> float:
        return self.start + self.count * self.cadence

    def record_starts(self) -> Floats:
        return self.start + self.cadence * np.arange(self.count, dtype=np.float64)


@dataclass(frozen=True)
class FilePlan:
    """One file to write."""

    instrument: Instrument
    orbit: int
    version: int
    segments: tuple[Segment, ...]
    noise: float = 0.0  # counts/s in every cell, in addition to those of the plasma

    @property
    def modes(self) -> frozenset[int]:
        return frozenset(segment.mode for segment in self.segments)

    @property
    def name(self) -> str:
        start = datetime.fromtimestamp(self.segments[0].start, timezone.utc)
        stamp = start.strftime("%Y%m%d%H%M%S")
        return f"fa_esa_l2_{self.instrument.name}_{stamp}_{self.orbit:05d}_v{self.version:02d}.cdf"

    @property
    def folder(self) -> str:
        """The folder below the archive, "YYYY/MM"."""
        start = datetime.fromtimestamp(self.segments[0].start, timezone.utc)
        return start.strftime("%Y/%m")

    @property
    def records(self) -> int:
        return sum(segment.count for segment in self.segments)

    def record_starts(self) -> Floats:
        return np.concatenate([segment.record_starts() for segment in self.segments])

    def record_ends(self) -> Floats:
        return np.concatenate([part.record_starts() + part.cadence for part in self.segments])


@dataclass(frozen=True)
class OrbitPlan:
    """One orbit: its track, its plasma structures and its files."""

    orbit: int
    seed: int
    track: Track
    structures: tuple[Structure, ...]
    files: tuple[FilePlan, ...]

    @property
    def cusp(self) -> Structure | None:
        return next((s for s in self.structures if s.kind == "cusp"), None)

    def best_file(self, instrument: str) -> FilePlan | None:
        """Return the highest version of an instrument's file; None if there is no file."""
        versions = [file for file in self.files if file.instrument.name == instrument]
        return max(versions, key=lambda file: file.version, default=None)


def plan_orbit(orbit: int, seed: int) -> OrbitPlan:
    """Plan an orbit; the plan depends only on `orbit` and `seed`, not on other orbits."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(orbit,)))
    track = Track(
        start=_start_of(orbit),
        apogee_latitude=90.0 + rng.normal(0.0, 12.0),
        dipole_tilt=rng.normal(0.0, 4.0),
        noon_first=bool(rng.random() < 0.7),
    )
    southern = rng.random() < 0.1 or orbit % 10 == 1  # one of the default twelve is
    first, last = _auroral_pass(track, southern)
    structures = _structures(rng, track, first, last)
    files = _files(rng, orbit, first, last, structures)
    return OrbitPlan(orbit, seed, track, tuple(structures), tuple(files))


def large_burst(orbit: OrbitPlan, records: int) -> FilePlan:
    """Plan an electron burst file of the orbit with exactly `records` records."""
    rng = np.random.default_rng(np.random.SeedSequence(orbit.seed, spawn_key=(orbit.orbit, 99)))
    arc = max(orbit.structures, key=lambda s: s.strength * s.energy * (s.kind == "inverted-v"))
    segments = _burst_segments(rng, arc.start, records, longest=6000)
    # A long file starts before the arc, so that it ends within the orbit.
    too_late = segments[-1].end - (orbit.track.start + ORBIT_SECONDS)
    if too_late > 0:
        segments = tuple(replace(s, start=s.start - too_late) for s in segments)
    return FilePlan(INSTRUMENTS["eeb"], orbit.orbit, 1, segments)


def short_survey(orbit: OrbitPlan, instrument: str, records: int = 120) -> FilePlan:
    """Plan a simple survey file of the orbit: one mode, no gaps, around the middle of its pass."""
    first, last = _auroral_pass(orbit.track, southern=False)
    start = (first + last) / 2 - records * SURVEY_CADENCES[-1] / 2
    segment = Segment(0, start, SURVEY_CADENCES[-1], records)
    return FilePlan(INSTRUMENTS[instrument], orbit.orbit, 1, (segment,))


def _start_of(orbit: int) -> float:
    return FIRST_ORBIT_START + (orbit - FIRST_ORBIT) * ORBIT_SECONDS


def _auroral_pass(track: Track, southern: bool) -> tuple[float, float]:
    """Return when FAST enters and leaves 58° invariant latitude of one hemisphere, s since 1970."""
    time = track.start + np.arange(0.0, ORBIT_SECONDS, 10.0, dtype=np.float64)
    where = track.conditions(time)
    inside = (where.invariant_latitude > 58.0) & (where.north != southern)
    return float(time[inside][0]), float(time[inside][-1])


def _structures(
    rng: np.random.Generator, track: Track, first: float, last: float
) -> list[Structure]:
    time = np.arange(first, last, 2.0, dtype=np.float64)
    where = track.conditions(time)
    latitude = where.invariant_latitude

    def somewhere(day: bool, low: float, high: float) -> float | None:
        places = time[(where.day == day) & (latitude > low) & (latitude < high)]
        return float(rng.choice(places)) if len(places) else None

    structures: list[Structure] = []
    for day in (False, True):
        low, high = (69.0, 75.0) if day else (64.5, 71.5)
        for _ in range(rng.integers(0, 3) if day else rng.integers(2, 6)):
            centre = somewhere(day, low, high)
            if centre is None:
                continue
            energy = float(np.clip(rng.lognormal(np.log(1200 if day else 4000), 0.5), 600, 15e3))
            structures.append(
                Structure(
                    "inverted-v",
                    centre,
                    half_width=float(np.clip(rng.lognormal(np.log(45), 0.5), 12, 160)),
                    energy=energy,
                    strength=float(rng.lognormal(0.0, 0.4)),
                    ion_beam=bool(rng.random() < 0.6),
                    phase=float(rng.uniform(0, 2 * np.pi)),
                )
            )
        centre = somewhere(day, high, high + 2.5)
        if centre is not None and rng.random() < 0.7:
            structures.append(
                Structure(
                    "alfvenic",
                    centre,
                    half_width=float(rng.uniform(20, 70)),
                    energy=float(rng.uniform(300, 1500)),
                    strength=float(rng.lognormal(0.0, 0.4)),
                    phase=float(rng.uniform(0, 2 * np.pi)),
                )
            )
    if track.noon_first and rng.random() < 0.75:
        centre = somewhere(True, 75.0, 79.0)
        if centre is not None:
            structures.append(
                Structure(
                    "cusp",
                    centre,
                    half_width=float(rng.uniform(70, 150)),
                    energy=float(rng.uniform(5e3, 12e3)),
                    strength=float(rng.lognormal(0.0, 0.3)),
                    phase=float(rng.uniform(0, 2 * np.pi)),
                )
            )
    return structures


def _files(
    rng: np.random.Generator,
    orbit: int,
    first: float,
    last: float,
    structures: list[Structure],
) -> list[FilePlan]:
    cusp = any(structure.kind == "cusp" for structure in structures)
    orbit_end = _start_of(orbit + 1)
    records = float(np.clip(rng.lognormal(np.log(330), 0.45), 60, 1200))
    files = []
    for name, present in (("ees", 0.93), ("ies", 0.88)):
        # Scientists mark a cusp only if it is visible in both spectrograms.
        if rng.random() < present or cusp:
            span = (last - first) * rng.uniform(0.85, 1.25)
            cadence = min(SURVEY_CADENCES, key=lambda c: abs(np.log(c * records / span)))
            count = int(np.clip(span / cadence, 40, 1.5 * records))
            # Occasionally an instrument was off for a large part of the pass.
            late = rng.uniform(0.2, 0.5) * span if rng.random() < 0.1 and not cusp else 0.0
            middle = (first + last) / 2 + rng.uniform(-150, 150) + late
            start = max(middle - count * cadence / 2, first - 400)
            segments = _before(orbit_end, _survey_segments(rng, start, cadence, count))
            files.append(FilePlan(INSTRUMENTS[name], orbit, 1, segments))
    targets = structures or [Structure("inverted-v", (first + last) / 2, 60.0, 1e3, 1.0)]
    target = targets[int(rng.integers(len(targets)))]
    burst = rng.random() < 0.35
    for name, present in (("eeb", 0.9), ("ieb", 0.6)):
        count = int(np.clip(rng.lognormal(np.log(240), 0.7), 60, 2500))
        start = target.start + rng.uniform(0, target.half_width)
        segments = _before(orbit_end, _burst_segments(rng, start, count, longest=400))
        # `large_burst` writes the electron burst file of the first orbit.
        if rng.random() < present and burst and not (orbit == FIRST_ORBIT and name == "eeb"):
            files.append(FilePlan(INSTRUMENTS[name], orbit, 1, segments))
    if not files:
        segments = _before(orbit_end, _survey_segments(rng, first, 10.0, 200))
        files.append(FilePlan(INSTRUMENTS["ees"], orbit, 1, segments))
    if orbit % 10 == 5 and files[0].instrument.name == "ees":
        files = [_first_attempt(files[0]), replace(files[0], version=2), *files[1:]]
    return files


def _first_attempt(file: FilePlan) -> FilePlan:
    """Return the superseded version of a file: it ends half way and has a high background."""
    middle = (file.segments[0].start + file.segments[-1].end) / 2
    return replace(file, segments=_before(middle, file.segments), noise=60.0)


def _before(time: float, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Return the records that end before `time`, s since 1970."""
    kept = []
    for segment in segments:
        count = min(segment.count, int((time - segment.start) / segment.cadence))
        if count > 0:
            kept.append(replace(segment, count=count))
    return tuple(kept)


def _survey_segments(
    rng: np.random.Generator, start: float, cadence: float, count: int
) -> tuple[Segment, ...]:
    """Return runs of mode 0 and 1, rarely 2; some are separated by data gaps."""
    runs = int(rng.integers(1, 5))
    cuts = np.sort(rng.choice(np.arange(1, count), runs - 1, replace=False))
    segments = []
    mode = int(rng.random() < 0.3)
    for size in np.diff([0, *cuts, count]):
        segments.append(Segment(mode, start, cadence, int(size)))
        start = segments[-1].end
        if rng.random() < 0.5:
            start += float(rng.uniform(4 * cadence, 30 * cadence))
        mode = 2 if rng.random() < 0.06 else int(rng.random() < 0.4)
    return tuple(segments)


def _burst_segments(
    rng: np.random.Generator, start: float, count: int, longest: int
) -> tuple[Segment, ...]:
    """Return runs of mode 0 and some of mode 2; each run is a separate memory dump."""
    segments = []
    while count:
        mode = 2 if rng.random() < 0.2 else 0
        # A double sweep takes twice as long: these runs are shorter.
        size = min(count, int(rng.integers(longest // 4, longest)) // (4 if mode else 1))
        cadence = mode_tables(mode).sweep
        segments.append(Segment(mode, start, cadence, size))
        start = segments[-1].end
        if rng.random() < 0.7:
            start += float(rng.uniform(1.0, 15.0))
        count -= size
    return tuple(segments)
