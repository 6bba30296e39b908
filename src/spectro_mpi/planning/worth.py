"""Forecast a run on any number of ranks, and recommend how many to use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from spectro_mpi.instruments.cdf import has_fast_reader
from spectro_mpi.model.items import Item
from spectro_mpi.planning.costs import Constants, costs_of
from spectro_mpi.planning.simulate import Simulated, busy_batch, knee, simulate
from spectro_mpi.settings.schema import Config

_ONE_WORKER = 3
"""Ranks of a run with one worker: coordinator, writer and worker."""

_ITEMS_PER_WORKER = 30
"""So many of the items show what a batch costs."""


class Forecast:
    """Simulates a run of `items` with measured costs.

    All ranks share `cores`; None: each rank has a core. `marks`: number of marked events.
    """

    def __init__(
        self,
        items: Sequence[Item],
        config: Config,
        constants: Constants,
        cores: int | None = None,
        marks: int = 0,
    ) -> None:
        self._costs = costs_of(items, config, constants, has_fast_reader())
        self._config = config
        self._constants = constants
        self._cores = cores
        self._marks = marks

    def of(self, ranks: int) -> Simulated:
        """The run on `ranks` MPI ranks."""
        costs, config, constants = self._costs, self._config, self._constants
        return simulate(costs, config, constants, ranks, self._cores, self._marks)

    def with_busy_workers(self, run: Simulated) -> Simulated:
        """A part of a run, with the smallest batch with which its workers seldom wait for commits.

        The part is long enough to show what a batch costs.
        """
        part = self._costs[:: max(1, len(self._costs) // (_ITEMS_PER_WORKER * run.workers))]
        return busy_batch(part, self._config, self._constants, run.ranks, self._cores)

    @cached_property
    def alone(self) -> Simulated:
        """The run with a single worker."""
        return self.of(_ONE_WORKER)

    @cached_property
    def best(self) -> Simulated:
        """The run on the recommended number of ranks."""
        costs, config, constants = self._costs, self._config, self._constants
        return knee(costs, config, constants, self.alone, self._cores, self._marks)
