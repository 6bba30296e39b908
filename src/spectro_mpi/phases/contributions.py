"""What items contribute to an artifact of the run, merged in groups of items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spectro_mpi.phases.interface import MergingPhase, Phase
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.tallies import KeptGroup

_FEWEST = 8
"""Items of a group, at most, however few the run has."""


def group_size(phase: MergingPhase[Any], items: int) -> int:
    """Most items of a group, for a run of `items`; 0: all are in one, as it is not kept."""
    return max(_FEWEST, -(-items // phase.kept_groups)) if is_kept(phase) else 0


def is_kept(phase: MergingPhase[Any]) -> bool:
    """Whether contributions are kept: the store must say which item they are of."""
    return phase.kept_version > 0 and (phase.in_store or bool(phase.kept_from))


def kept_files(phase: Phase, progress: Progress, without: Collection[str] = ()) -> dict[str, str]:
    """Item → the data file from which its contribution follows, if it is settled in `phase`.

    `without`: items that this execution did without data; earlier data of theirs does not count.
    """
    if phase.in_store or not (isinstance(phase, MergingPhase) and phase.kept_from):
        held = progress.stores.get(phase.name, {})
        return {item: name for item, name in held.items() if item not in without}
    settled = progress.settled[phase.name]
    held = progress.stores[phase.kept_from]
    return {item: name for item, name in held.items() if item in settled}


@dataclass
class Group:
    """The merged contributions of some items."""

    items: list[str] = field(default_factory=list)
    whole: Any = None
    """As `MergingPhase.merge` returns it."""


class Contributions:
    """Contributions of items to the artifact of one phase, which come in any order.

    Workers and the coordinator each have one. Groups are filled one after the other, so that there
    are about `MergingPhase.kept_groups`, and each worker has only its part of them in memory.
    """

    def __init__(self, phase: MergingPhase[Any], most: int, kept: Sequence[KeptGroup] = ()) -> None:
        """`most`: items of a group, 0: any number; `kept`: groups of earlier executions."""
        self._phase = phase
        self._most = most
        self._kept = {place: group for place, group in enumerate(kept)}
        self.groups = [Group(list(group.data_files)) for group in kept]

    def add(self, group: Group) -> None:
        """Merge contributions into a group that has room for them, or into a new one."""
        place = self._place_for(len(group.items))
        into = self.groups[place]
        into.items += group.items
        into.whole = self._phase.merge(self._whole_of(place), group.whole)
        self._kept.pop(place, None)

    def whole(self) -> Any:
        """The contributions of all items, merged; afterwards nothing may be added."""
        if len(self.groups) == 1:
            return self._whole_of(0)
        whole = self._phase.empty()
        for place in range(len(self.groups)):
            whole = self._phase.merge(whole, self._whole_of(place))
        return whole

    def to_keep(self, data_files: Mapping[str, str]) -> tuple[KeptGroup, ...]:
        """The groups as arrays; `data_files`: item → its data file, for items that have data."""
        groups = (
            self._kept.get(place)
            or KeptGroup(
                {item: data_files[item] for item in group.items if item in data_files},
                self._phase.arrays_of(group.whole),
            )
            for place, group in enumerate(self.groups)
        )
        return tuple(group for group in groups if group.data_files)

    def _place_for(self, items: int) -> int:
        for place, group in enumerate(self.groups):
            if not self._most or len(group.items) + items <= self._most:
                return place
        self.groups.append(Group(whole=self._phase.empty()))
        return len(self.groups) - 1

    def _whole_of(self, place: int) -> Any:
        group = self.groups[place]
        if place in self._kept and group.whole is None:
            group.whole = self._phase.contribution_from(self._kept[place].arrays)
        return group.whole
