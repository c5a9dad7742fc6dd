# SPDX-License-Identifier: Apache-2.0
"""What schemes of parallelism have in common: who owns which rows, who aggregates what."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.errors import ConfigError
from gcnloom.lower.builder import Output, Tensor
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.worker import Operator, Worker

__all__ = ["Aggregation", "Link", "Scheme", "consecutive", "placed_at", "wire_type"]

Mantissas = NDArray[np.int64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """A worker, its connection to the others, and the shifts and step of the pass under way.

    Attributes
    ----------
    worker : Worker
    communicator : Communicator
    """

    worker: Worker
    communicator: Communicator

    @property
    def rank(self) -> int:
        """Number of the worker."""
        return self.communicator.rank


class Aggregation(ABC):
    """``matrix @ dense`` whose rows, before and after, are spread over the workers.

    Attributes
    ----------
    operator : Operator
        This worker's product.
    """

    operator: Operator

    @abstractmethod
    def run(self, own: Mantissas, shifts: dict[int, int], step: int) -> Mantissas:
        """Return the worker's rows of the result from its rows of the operand."""


class Scheme(ABC):
    """How the workers share a layer; every worker holds one, and the whole graph's topology.

    Dense products are node-parallel: each worker has some rows, and all weights.
    """

    @abstractmethod
    def rows(self, nodes: int) -> list[Rows]:
        """Rows of the first `nodes` that each worker owns, ascending."""

    @abstractmethod
    def aggregation(
        self, link: Link, key: str, matrix: csr_array, output: Output, kinds: tuple[str, str]
    ) -> Aggregation:
        """Prepare an aggregation of all workers.

        Parameters
        ----------
        link : Link
        key : str
            Names the matrix; those of equal keys are equal.
        matrix : csr_array of int
            All of it.
        output : Output
            How the whole result would leave, its tensor's shape included.
        kinds : tuple of str
            Classes that messages of operands and of results count to.
        """


def wire_type(bits: int) -> np.dtype[np.signedinteger]:
    """Narrowest integers of NumPy that hold so many bits; arrays travel as these."""
    width = next(width for width in (8, 16, 32, 64) if bits <= width)
    kind: np.dtype[np.signedinteger] = np.dtype(f"i{width // 8}")
    return kind


def consecutive(rows: Rows) -> bool:
    """Whether rows follow each other without a gap."""
    return not len(rows) or int(rows[-1] - rows[0]) + 1 == len(rows)


def placed_at(output: Output, tensor: Tensor, rows: Rows, feature: int = 0) -> Output:
    """Output of a worker's part of a whole result.

    Random draws are keyed by place, which a device counts up from the first row: a part whose
    rows do not follow each other draws nothing on the device.

    Parameters
    ----------
    output : Output
        Of the whole result.
    tensor : Tensor
        Where the part lies.
    rows : NDArray[np.int64]
        Rows of the whole that the part has, ascending.
    feature : int
        First feature of the part.

    Raises
    ------
    ConfigError
        The rows do not follow each other and results are to be rounded stochastically.
    """
    if consecutive(rows):
        first = int(rows[0]) if len(rows) else 0
        return replace(output, tensor=tensor, row=first, feature=feature)
    if output.stochastic:
        raise ConfigError(
            f"rows {rows[0]} to {rows[-1]}, of which this worker has {len(rows)}, cannot be "
            "rounded stochastically; try rounding='nearest', or parallel='mop'"
        )
    counted = output.counted
    if counted is not None:
        counted = int(np.searchsorted(rows, counted))
    return replace(output, tensor=tensor, counted=counted, feature=feature)
