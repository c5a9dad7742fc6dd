# SPDX-License-Identifier: Apache-2.0
"""Partition parallelism: METIS deals the nodes, rows at the borders are exchanged.

Every worker has the features and edges of its nodes. Before it aggregates, the rows of other
workers' nodes that its nodes listen to, its *halo*, come from their owners.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.lower.builder import Output
from gcnloom.parallel.exchange import Exchange
from gcnloom.parallel.scheme import (
    Aggregation,
    Link,
    Mantissas,
    Message,
    Moment,
    Rows,
    Scheme,
    consecutive,
    placed_at,
)
from gcnloom_spec.random import DROPOUT, draw

__all__ = ["NodePartition", "sources"]


def sources(matrix: csr_array, rows: Rows) -> Rows:
    """Columns in which any of the rows has a non-zero, ascending."""
    part = matrix[rows]
    return np.unique(part.indices[part.data != 0]).astype(np.int64)


class NodePartition(Scheme):
    """Rows of nodes that a partition gives to each worker.

    Parameters
    ----------
    membership : NDArray[np.int64]
        Worker of each row, in the order in which nodes lie on a device.
    workers : int
    """

    def __init__(self, membership: NDArray[np.int64], workers: int) -> None:
        self._membership, self._workers = membership, workers

    def rows(self, nodes: int) -> list[Rows]:
        """Rows of each part among the first `nodes`."""
        first = self._membership[:nodes]
        return [np.flatnonzero(first == worker) for worker in range(self._workers)]

    def aggregation(
        self, link: Link, key: str, matrix: csr_array, output: Output,
        messages: tuple[Message, Message],
    ) -> Aggregation:  # fmt: skip
        """Prepare an aggregation of this worker's rows, with the exchange of its halo."""
        return _Halo(self, link, key, matrix, output, messages[0])


class _Halo(Aggregation):
    """The edges of this worker's rows times the rows that they need."""

    def __init__(
        self, scheme: Scheme, link: Link, key: str, matrix: csr_array, output: Output,
        message: Message,
    ) -> None:  # fmt: skip
        worker, rank = link.worker, link.rank
        whole, before = output.tensor, scheme.rows(matrix.shape[1])
        after = scheme.rows(whole.rows)
        for rows in after:
            placed_at(output, whole, rows)  # All workers refuse what one has to.
        needed = [sources(matrix, rows) for rows in after]
        mine, self._rows = needed[rank], after[rank]
        self._link, self._output = link, output
        cuts = [link.chunks(len(rows)) for rows in before]
        self._sends = [
            [np.flatnonzero(np.isin(before[rank][cut], each)) for each in needed]
            for cut in map(_slice, cuts[rank])
        ]
        self._places = [
            [
                np.flatnonzero(np.isin(mine, rows[_slice(cut[part])]))
                for rows, cut in zip(before, cuts, strict=True)
            ]
            for part in range(link.pipeline.chunks)
        ]
        shapes = [[(len(place), whole.features) for place in part] for part in self._places]
        self._exchange = Exchange(link, message, worker.config.operand_width, shapes)
        self._operand = worker.place(f"{whole.name} operand", len(mine), whole.features)
        result = worker.place(
            whole.name, len(self._rows), whole.features, kind="sums" if output.raw else "operand"
        )
        local = placed_at(output, result, self._rows)
        self._keep = None
        if output.dropout and not consecutive(self._rows):
            self._keep = worker.place(f"{whole.name} keep", len(self._rows), whole.features)
            local = self._masked(local)
        block = csr_array(matrix[self._rows][:, mine])
        self.operators = [worker.sparse(f"{key} of {whole.name}", block, self._operand, local)]

    def run(self, own: Iterable[Mantissas], moment: Moment) -> Mantissas:
        """Exchange the halo, multiply."""
        worker = self._link.worker
        parts = (
            [rows[send] for send in sends] for rows, sends in zip(own, self._sends, strict=True)
        )
        operand = np.zeros((self._operand.rows, self._operand.features), dtype=np.int64)
        received = self._exchange.run(parts, moment)
        for places, pieces in zip(self._places, received, strict=True):
            for place, rows in zip(places, pieces, strict=True):
                operand[place] = rows
        worker.write(self._operand, operand)
        if self._keep is not None:
            worker.write(self._keep, self._draws(moment.step))
        return worker.run(self.operators[0], moment.shifts, moment.step)

    def _masked(self, local: Output) -> Output:
        """Have a mask drop what the device would, whose own draws are of rows in a row."""
        return replace(local, dropout=0, mask=self._keep)

    def _draws(self, step: int) -> Mantissas:
        """Draw what dropout keeps of this worker's rows: ones, and zeros."""
        output, rows = self._output, self._rows
        counted = len(rows) if output.counted is None else np.searchsorted(rows, output.counted)
        parts = (output.identifier, rows[:counted]), (output.outside, rows[counted:])
        octets = [
            draw(
                seed=self._link.worker.seed, step=step, tensor=tensor, purpose=DROPOUT, rows=part,
                feature=0, count=output.tensor.features,
            )
            for tensor, part in parts if len(part)
        ]  # fmt: skip
        return (np.concatenate(octets) >= output.dropout).astype(np.int64)


def _slice(rows: range) -> slice:
    return slice(rows.start, rows.stop)
