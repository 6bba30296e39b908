"""The order of the phases, which is checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from spectro_mpi.errors import UserError
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.phases.interface import MergingPhase, Phase
from spectro_mpi.phases.registry import carry, load_phase
from spectro_mpi.phases.workspace import Carried
from spectro_mpi.settings.schema import Config, SettingsError
from spectro_mpi.system.words import nearest

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class PhaseOrder:
    """The phases of a run; each gets all that it needs from earlier ones.

    Made by `order_phases`, which checks that.
    """

    config: Config
    phases: tuple[Phase, ...]
    carried: tuple[Carried, ...]
    """The same phases, in a form that can be sent to other processes."""
    active: frozenset[str]
    """Names of the phases that run; artifacts of the others must exist."""

    def is_active(self, phase: Phase) -> bool:
        """Whether `phase` runs."""
        return phase.name in self.active

    @property
    def needs_no_input(self) -> bool:
        """Whether each active phase reads the output of others, and not the input."""
        return all(self.givers(phase) for phase in self.phases if self.is_active(phase))

    def place(self, name: str) -> int:
        """Index of the phase called `name` in the order. Raises `ValueError` if there is none."""
        return [phase.name for phase in self.phases].index(name)

    def check_name(self, name: str) -> None:
        """Raise `UserError` if `name` is not empty and there is no phase of that name."""
        names = [phase.name for phase in self.phases]
        if name and name not in names:
            raise UserError(_unknown(name, names))

    def sources(self, phase: Phase) -> Iterator[tuple[Phase, Artifact]]:
        """(phase that gives it, artifact) for each artifact that `phase` needs."""
        for needed in phase.needs:
            yield self._given[needed.name]

    def givers(self, phase: Phase) -> list[Phase]:
        """The phases that give the artifacts of an item that `phase` needs, in order."""
        names = {giver.name for giver, kind in self.sources(phase) if kind.of == "item"}
        return [giver for giver in self.phases if giver.name in names]

    def dependents(self, name: str) -> list[str]:
        """Names of a phase and of all that depend on it, directly or not, in order."""
        names = [name]
        for phase in self.phases[self.place(name) + 1 :]:
            if any(giver.name in names for giver, _ in self.sources(phase)):
                names.append(phase.name)
        return names

    @cached_property
    def _given(self) -> dict[str, tuple[Phase, Artifact]]:
        return {kind.name: (phase, kind) for phase in self.phases for kind in phase.gives}


def order_phases(
    config: Config,
    phases: Sequence[Phase | str] | None = None,
    active: Collection[str] | None = None,
) -> PhaseOrder:
    """Load and check `phases` (None: those of the settings).

    `active`: names of the phases that run; None: all. Raises `SettingsError` if a phase cannot be
    loaded, or with all mismatches if phases do not fit together.
    """
    entries = config.phases if phases is None else tuple(phases)
    loaded = [
        load_phase(entry, config) if isinstance(entry, str) else _configured(entry, config)
        for entry in entries
    ]
    mistakes = list(_mistakes(loaded))
    names = [phase.name for phase in loaded]
    for name in active or ():
        if name not in names:
            mistakes.append(_unknown(name, names))
    for name in config.phase:
        if name not in names:
            mistakes.append(f"[phase.{name}]: {_unknown(name, names)}")
    if mistakes:
        raise SettingsError(*(f"phases: {mistake}" for mistake in mistakes))
    carried = tuple(carry(entry, phase.name) for entry, phase in zip(entries, loaded, strict=True))
    return PhaseOrder(
        config, tuple(loaded), carried, frozenset(names if active is None else active)
    )


def _unknown(name: str, names: Sequence[str]) -> str:
    """The sentence on a name that no phase has."""
    return f"there is no phase {name}; choose from {', '.join(names)}{nearest(name, names)}"


def _configured(phase: Phase, config: Config) -> Phase:
    """The phase with its settings. Raises `UserError` if it is not a `Phase`."""
    if not isinstance(phase, Phase):
        raise UserError(
            f"phases: {phase!r} is not a phase; derive its class from spectro_mpi.Phase"
        )
    phase.config = config
    return phase


def _mistakes(phases: Sequence[Phase]) -> Iterator[str]:
    """All mismatches between phases, one sentence each."""
    given: dict[str, tuple[str, Artifact]] = {}
    later = {kind.name: phase.name for phase in phases for kind in phase.gives}
    names: set[str] = set()
    for phase in phases:
        if not _NAME.fullmatch(phase.name):
            yield (
                f'the name "{phase.name}" of {type(phase).__name__} is not valid; use letters, '
                'digits, "_" and "-"'
            )
        if phase.name in names:
            yield f'two phases are named "{phase.name}"; rename one'
        names.add(phase.name)
        if isinstance(phase, MergingPhase) and not any(kind.of == "run" for kind in phase.gives):
            yield (
                f'phase "{phase.name}" is a MergingPhase and gives no artifact of the run; add one '
                'with of="run" to gives'
            )
        for needed in phase.needs:
            yield from _mismatch(phase.name, needed, given, later)
        for kind in phase.gives:
            if kind.name in given:
                yield (
                    f'phase "{phase.name}" gives "{kind.name}", which phase '
                    f'"{given[kind.name][0]}" already gives'
                )
            if not (kind.extension or kind.dataset or kind.of == "run"):
                yield (
                    f'phase "{phase.name}" gives {kind} without an extension or dataset; set one '
                    "of them"
                )
            given[kind.name] = (phase.name, kind)
        yield from phase.mistakes()


def _mismatch(
    name: str,
    needed: Artifact,
    given: dict[str, tuple[str, Artifact]],
    later: dict[str, str],
) -> Iterator[str]:
    if needed.name in given:
        giver, kind = given[needed.name]
        if not kind.fits(replace(needed, long_name="")):
            yield f'phase "{name}" needs {needed}; phase "{giver}" gives {kind}'
    elif needed.name in later:
        yield f'phase "{name}" needs {needed}, which phase "{later[needed.name]}" gives only later'
    else:
        known = ", ".join(f'"{kind}" by phase "{giver}"' for kind, (giver, _) in given.items())
        yield (
            f'phase "{name}" needs {needed}, which no earlier phase gives '
            f"(given: {known or 'nothing'})"
        )
