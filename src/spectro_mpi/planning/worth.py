"""Forecast a run on any number of ranks, and recommend how many to use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from spectro_mpi.instruments.cdf import has_fast_reader
from spectro_mpi.model.items import Item
from spectro_mpi.planning.costs import Constants, costs_of
from spectro_mpi.planning.simulate import Simulated, knee, simulate
from spectro_mpi.settings.schema import Config

MOST_RANKS_WITH_REPORT = 64
"""On more ranks `submit` has the report made by a job of one task, since all ranks wait for it."""

_ONE_WORKER = 3
"""Ranks of a run with one worker: coordinator, writer and worker."""


class Forecast:
    """Simulates a run of `items` with measured costs.

    All ranks share `cores`; None: each rank has a core.
    """

    def __init__(
        self,
        items: Sequence[Item],
        config: Config,
        constants: Constants,
        cores: int | None = None,
    ) -> None:
        self._costs = costs_of(items, config, constants, has_fast_reader())
        self._config = config
        self._constants = constants
        self._cores = cores

    def of(self, ranks: int) -> Simulated:
        """The run on `ranks` MPI ranks."""
        return simulate(self._costs, self._config, self._constants, ranks, self._cores)

    @cached_property
    def alone(self) -> Simulated:
        """The run with a single worker."""
        return self.of(_ONE_WORKER)

    @cached_property
    def best(self) -> Simulated:
        """The run on the recommended number of ranks."""
        return knee(self._costs, self._config, self._constants, self.alone, self._cores)
