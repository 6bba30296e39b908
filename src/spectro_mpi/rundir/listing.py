"""The items and the failures of a run, as lists and tables for notebooks."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import REASONS, Failure, UserError
from spectro_mpi.model import html
from spectro_mpi.rundir.counts import phase_counts
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import choices, listed

_NAMED = 8
"""Items that a message names."""


class Readable(Protocol):
    """What is needed of a run; `rundir.reader.Run` has it."""

    path: Path
    config: Config
    progress: Progress

    @property
    def items(self) -> ItemList: ...

    @property
    def errors(self) -> Failures: ...

    def completed(self, phase: str) -> list[str]: ...

    def figures(self, item: str | int) -> list[Path]: ...

    def ephemeris(
        self, item: str | int, names: Sequence[str] = ...
    ) -> dict[str, dict[str, NDArray[np.float32]]]: ...

    def time_spans(self, item: str | int) -> dict[str, tuple[float, float, int]]: ...


@dataclass(frozen=True)
class ItemRow:
    """What a run has of one item."""

    item: str
    start: datetime | None
    """Time of the first record, UTC; None: it has no valid time."""
    stop: datetime | None
    """Time of the last record, UTC."""
    instruments: tuple[str, ...]
    records: int
    """Records of all instruments."""
    failures: int
    reasons: tuple[str, ...]
    """Why something of it failed, as in "timeout"; empty: nothing did."""
    completed: tuple[str, ...]
    """Phases that it is complete up to."""
    mlt: tuple[float, float] | None = None
    """Magnetic local time of the first and the last record, h; None: there is no ephemeris."""
    ilat: tuple[float, float] | None = None
    """Lowest and highest invariant latitude, degrees; negative in the south."""


class ItemList(list[str]):
    """Ids of items, which can be filtered and shown as a table."""

    def __init__(self, items: Iterable[str], run: Readable) -> None:
        super().__init__(items)
        self._run = run

    @property
    def rows(self) -> list[ItemRow]:
        """A row for each item. Opens the file of each item, about a millisecond per item."""
        return [_row_of(item, self._run) for item in self]

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row for each item; times are UTC.

        Raises `UserError` if pandas is not installed.
        """
        try:
            pandas: Any = importlib.import_module("pandas")
        except ImportError:
            raise UserError("to_pandas needs pandas: pip install pandas") from None
        frame = pandas.DataFrame([asdict(row) for row in self.rows], columns=list(_COLUMNS))
        for name in ("start", "stop"):
            frame[name] = pandas.to_datetime(frame[name], utc=True)
        return frame.set_index("item")

    def where(
        self,
        *,
        start: str | datetime | None = None,
        stop: str | datetime | None = None,
        failed: bool | None = None,
        reason: str = "",
        mlt: tuple[float, float] | None = None,
        ilat: tuple[float, float] | None = None,
    ) -> ItemList:
        """The items that fit all conditions.

        Parameters
        ----------
        start, stop : str or datetime, optional
            Items with a record at or after `start`, and before `stop`: dates or times (UTC), such
            as "2000-01-02" or "2000-01-02T05:29".
        failed : bool, optional
            Whether something of the item failed, in any phase.
        reason : str, optional
            Items of which something failed for this reason.
        mlt, ilat : (float, float), optional
            Items with a record in this range of magnetic local time (h; (22, 2) goes by way of
            midnight), and of invariant latitude (degrees; negative in the south): with both, with a
            record in both. Items without an ephemeris do not fit.

        Returns
        -------
        ItemList

        Raises
        ------
        ValueError
            If a time cannot be read, or nothing can fail for this reason.
        """
        if reason and reason not in REASONS:
            raise ValueError(f"no reason is called {reason}; {choices(reason, list(REASONS))}")
        errors = self._run.errors
        reasons = {item: {failure.reason for failure in errors.get(item, ())} for item in self}
        chosen = [
            item
            for item in self
            if (failed is None or bool(reasons[item]) == failed)
            and (not reason or reason in reasons[item])
        ]
        if start is not None or stop is not None:
            first, last = (_time(time) if time is not None else None for time in (start, stop))
            chosen = [item for item in chosen if _overlaps(_row_of(item, self._run), first, last)]
        if mlt is not None or ilat is not None:
            chosen = [item for item in chosen if _passes(self._run.ephemeris(item), mlt, ilat)]
        return ItemList(chosen, self._run)

    def _repr_html_(self) -> str:
        most = 20
        rows = [_cells(_row_of(item, self._run)) for item in self[:most]]
        more = html.paragraph(f"… and {len(self) - most} more") if len(self) > most else ""
        return html.table([name.replace("_", " ") for name in _COLUMNS], rows) + more


class MissingError(KeyError):
    """An item or an instrument that a run does not have; the message names what there is."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show it in quotes


class Failures(dict[str, tuple[Failure, ...]]):
    """Item → its failures; numbers work as ids of items, too."""

    def __missing__(self, item: object) -> tuple[Failure, ...]:
        if item in self:
            return self[str(item)]
        there = f"something did of {listed(list(self), _NAMED)}" if self else "nor of any other"
        raise MissingError(f"nothing of item {item} failed; {there}")

    def __contains__(self, item: object) -> bool:
        return super().__contains__(str(item))

    def get(self, item: object, default: Any = None) -> Any:
        """The failures of an item, or `default` if nothing of it failed."""
        return super().get(str(item), default)

    @property
    def by_reason(self) -> dict[str, list[tuple[str, Failure]]]:
        """Reason → (item, failure) of each failure."""
        found: dict[str, list[tuple[str, Failure]]] = {}
        for item, failures in self.items():
            for failure in failures:
                found.setdefault(failure.reason, []).append((item, failure))
        return {reason: found[reason] for reason in REASONS if reason in found}

    def _repr_html_(self) -> str:
        if not self:
            return html.paragraph("Nothing failed.")
        counts = [(reason, len(pairs)) for reason, pairs in self.by_reason.items()]
        rows = [
            (item, failure.instrument, failure.phase, reason, failure.message)
            for reason, pairs in self.by_reason.items()
            for item, failure in pairs
        ]
        head = ("item", "instrument", "phase", "reason", "message")
        return html.table(("reason", "failures"), counts) + html.table(head, rows)


def html_of(run: Readable) -> str:
    """What a notebook shows of a run: counts, failures by reason, a figure."""
    reasons = Counter(failure.reason for each in run.errors.values() for failure in each)
    failed = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    return "".join(
        (
            html.heading(f"Run {run.config.run_id}: {run.path}"),
            html.table(
                ("phase", "items"),
                [(each.phase, each.words) for each in phase_counts(run.progress)],
            ),
            html.paragraph(f"Failures: {failed or 'none'}"),
            _figure(run),
        )
    )


def _figure(run: Readable) -> str:
    """The first figure of the run, small; empty if there is none that can be read."""
    import io

    from PIL import Image

    for item in run.completed("plot")[:1] or run.items[:1]:
        for path in run.figures(item)[:1]:
            try:
                with Image.open(path) as image:
                    image = image.convert("RGB")
                    image.thumbnail((480, 480))
                    file = io.BytesIO()
                    image.save(file, "JPEG", quality=80)
            except OSError:
                return ""
            return html.picture(file.getvalue(), "jpeg", path.name) + html.paragraph(path.name)
    return ""


_COLUMNS = tuple(ItemRow.__dataclass_fields__)


def _row_of(item: str, run: Readable) -> ItemRow:
    spans: Mapping[str, tuple[float, float, int]] = run.time_spans(item)
    begins = [first for first, _, _ in spans.values() if first == first]
    ends = [last for _, last, _ in spans.values() if last == last]
    failures = run.progress.failures.get(item, ())
    return ItemRow(
        item,
        datetime.fromtimestamp(min(begins), timezone.utc) if begins else None,
        datetime.fromtimestamp(max(ends), timezone.utc) if ends else None,
        tuple(spans),
        sum(records for _, _, records in spans.values()),
        len(failures),
        tuple(dict.fromkeys(failure.reason for failure in failures)),
        tuple(
            phase
            for phase in run.progress.phases
            if item in run.progress.settled[phase]
            and not any(failure.phase in run.progress.upto(phase) for failure in failures)
        ),
        *_places(item, run, spans),
    )


def _places(
    item: str, run: Readable, spans: Mapping[str, tuple[float, float, int]]
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """`ItemRow.mlt` and `ItemRow.ilat`, of the instrument with records for the longest time."""
    known = run.ephemeris(item)
    longest = sorted(spans, key=lambda name: spans[name][0] - spans[name][1])
    ends: dict[str, tuple[float, float]] = {}
    for name in longest:
        for variable, values in known.get(name, {}).items():
            found = values[np.isfinite(values)]
            if found.size:
                pair = found[[0, -1]] if variable == "mlt" else (found.min(), found.max())
                ends.setdefault(variable, (float(pair[0]), float(pair[1])))
    return ends.get("mlt"), ends.get("ilat")


def _passes(
    ephemeris: Mapping[str, Mapping[str, NDArray[np.float32]]],
    mlt: tuple[float, float] | None,
    ilat: tuple[float, float] | None,
) -> bool:
    """Whether any record of an item lies in these ranges."""
    for variables in ephemeris.values():
        inside: Any = True
        for name, ends in (("mlt", mlt), ("ilat", ilat)):
            if ends is not None:
                values = variables.get(name, np.full(1, np.nan, np.float32))
                above, below = values >= ends[0], values <= ends[1]
                is_wrapped = name == "mlt" and ends[0] > ends[1]
                inside &= (above | below) if is_wrapped else (above & below)
        if np.any(inside):
            return True
    return False


def _cells(row: ItemRow) -> list[str]:
    """The cells of a row as text."""
    return [
        f"{value:%Y-%m-%d %H:%M:%S} UTC"
        if isinstance(value, datetime)
        else ", ".join(f"{each:.1f}" if isinstance(each, float) else each for each in value)
        if isinstance(value, tuple)
        else ""
        if value is None
        else str(value)
        for value in (getattr(row, name) for name in _COLUMNS)
    ]


def _time(word: str | datetime) -> datetime:
    """A date or time, UTC if it names no zone."""
    time = datetime.fromisoformat(word.replace("Z", "+00:00")) if isinstance(word, str) else word
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _overlaps(row: ItemRow, first: datetime | None, last: datetime | None) -> bool:
    if row.start is None or row.stop is None:
        return False
    return (first is None or row.stop >= first) and (last is None or row.start < last)
