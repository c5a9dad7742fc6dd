# SPDX-License-Identifier: Apache-2.0
"""What schemes of parallelism have in common: who owns which rows, who aggregates what."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.errors import ConfigError
from gcnloom.lower.builder import Output, Tensor
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.pipeline import SYNCHRONOUS, Pipeline
from gcnloom.parallel.shares import even_shares
from gcnloom.parallel.worker import Operator, Worker

if TYPE_CHECKING:
    from gcnloom.parallel.exchange import Exchange

__all__ = [
    "Aggregation",
    "Link",
    "Mantissas",
    "Message",
    "Moment",
    "Rows",
    "Scheme",
    "consecutive",
    "placed_at",
    "wire_type",
]

Mantissas = NDArray[np.int64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """A worker and its connection to the others.

    Attributes
    ----------
    worker : Worker
    communicator : Communicator
    pipeline : Pipeline
    unit : int
        Rows of which every chunk has a multiple, the last excepted, on all workers alike.
    ages : Counter[int]
        Exchanges by the age in epochs of what came from others.
    hidden : Counter[str]
        Bytes that this worker sent while its device multiplied, by class of message.
    exchanges : list of Exchange
        All of them, in the order in which they were prepared.
    """

    worker: Worker
    communicator: Communicator
    pipeline: Pipeline = SYNCHRONOUS
    unit: int = 1
    ages: Counter[int] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    exchanges: list["Exchange"] = field(default_factory=list)

    @property
    def rank(self) -> int:
        """Number of the worker."""
        return self.communicator.rank

    def chunks(self, rows: int) -> list[range]:
        """Cut so many rows of any worker into chunks, some of them empty where rows are few."""
        shares = even_shares(-(-rows // self.unit), self.pipeline.chunks)
        return [
            range(min(rows, share.start * self.unit), min(rows, share.stop * self.unit))
            for share in shares
        ]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What a pass runs with.

    Attributes
    ----------
    step : int
        Epoch, second word of the key of every random draw.
    shifts : dict[int, int]
        Right shifts of requantising, by tensor number.
    exponents : dict[str, int]
        Of what is exchanged, by the tensor's name.
    """

    step: int
    shifts: dict[int, int]
    exponents: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Message:
    """What an exchange moves.

    Attributes
    ----------
    kind : str
        Class that its bytes count to.
    tensor : str
        Name whose exponent its elements have.
    """

    kind: str
    tensor: str


class Aggregation(ABC):
    """``matrix @ dense`` whose rows, before and after, are spread over the workers.

    Attributes
    ----------
    operators : list of Operator
        This worker's product, by chunk of its rows.
    """

    operators: list[Operator]

    @abstractmethod
    def run(self, own: Iterable[Mantissas], moment: Moment) -> Mantissas:
        """Return the worker's rows of the result from its rows of the operand, in chunks."""


class Scheme(ABC):
    """How the workers share a layer; every worker holds one, and the whole graph's topology.

    Dense products are node-parallel: each worker has some rows, and all weights.
    """

    @abstractmethod
    def rows(self, nodes: int) -> list[Rows]:
        """Rows of the first `nodes` that each worker owns, ascending."""

    @abstractmethod
    def aggregation(
        self, link: Link, key: str, matrix: csr_array, output: Output,
        messages: tuple[Message, Message],
    ) -> Aggregation:  # fmt: skip
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
        messages : tuple of Message
            What operands and results travel as.
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
