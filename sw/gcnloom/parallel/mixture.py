# SPDX-License-Identifier: Apache-2.0
"""Mixture of parallelism: aggregation by features, dense products by nodes, a switch between.

Every worker holds the whole graph. It aggregates some columns of all nodes, and multiplies all
columns of some nodes by the weights; the layout switches by an all-to-all of blocks.
"""

from collections.abc import Iterable

import numpy as np
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
    placed_at,
)
from gcnloom.parallel.shares import even_shares
from gcnloom.parallel.worker import Operator

__all__ = ["MixtureOfParallelism"]


class MixtureOfParallelism(Scheme):
    """Rows and columns in even shares, whatever the graph.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def rows(self, nodes: int) -> list[Rows]:
        """Consecutive shares of the first `nodes`."""
        return [np.arange(share.start, share.stop) for share in even_shares(nodes, self._workers)]

    def aggregation(
        self, link: Link, key: str, matrix: csr_array, output: Output,
        messages: tuple[Message, Message],
    ) -> Aggregation:  # fmt: skip
        """Prepare an aggregation of this worker's columns."""
        return _FeatureParallel(link, key, matrix, output, messages)


class _FeatureParallel(Aggregation):
    """All edges times this worker's columns.

    Columns keep their places within a vector, as draws are keyed by them: those before the
    first, down to a multiple of the lanes, are zero.
    """

    def __init__(
        self, link: Link, key: str, matrix: csr_array, output: Output,
        messages: tuple[Message, Message],
    ) -> None:  # fmt: skip
        worker, size = link.worker, link.communicator.size
        config = worker.config
        whole = output.tensor
        self._link = link
        self._columns = even_shares(whole.features, size)
        self._mine = self._columns[link.rank]
        self._lead = self._mine.start % worker.config.lanes
        width = self._lead + len(self._mine) if self._mine else 0
        self._operand = worker.place(f"{whole.name} operand", matrix.shape[1], width)
        cuts = [link.chunks(len(rows)) for rows in even_shares(matrix.shape[1], size)]
        self._before = Exchange(
            link, messages[0], config.operand_width,
            [[(len(rows), len(self._mine)) for rows in part] for part in zip(*cuts, strict=True)],
        )  # fmt: skip
        self._after = [
            [_within(chunk, rows) for rows in even_shares(whole.rows, size)]
            for chunk in link.chunks(whole.rows)
        ]
        self._back = Exchange(
            link, messages[1], config.sum_width if output.raw else config.operand_width,
            [[(len(part[link.rank]), len(each)) for each in self._columns] for part in self._after],
        )  # fmt: skip
        self.operators = [
            self._operator(key, matrix, output, width, rows) for rows in link.chunks(whole.rows)
        ]

    def run(self, own: Iterable[Mantissas], moment: Moment) -> Mantissas:
        """Switch to columns, multiply, switch back to rows."""
        worker = self._link.worker
        parts = ([rows[:, each.start : each.stop] for each in self._columns] for rows in own)
        received = self._before.run(parts, moment)
        if self._operand.stored is not None:
            operand = np.zeros((self._operand.rows, self._operand.features), dtype=np.int64)
            operand[:, self._lead :] = np.concatenate(
                [np.concatenate(pieces) for pieces in zip(*received, strict=True)]
            )
            worker.write(self._operand, operand)
        results = worker.run_each(self.operators, moment.shifts, moment.step)
        back = (
            [columns[rows.start : rows.stop, self._lead :] for rows in part]
            for columns, part in zip(results, self._after, strict=True)
        )
        return np.concatenate(
            [np.concatenate(pieces, axis=1) for pieces in self._back.run(back, moment)]
        )

    def _operator(
        self, key: str, matrix: csr_array, output: Output, width: int, rows: range
    ) -> Operator:
        """Multiply some rows of the matrix."""
        worker, whole = self._link.worker, output.tensor
        part = len(rows) < whole.rows
        name = f" [{rows.start}:{rows.stop}]" if part else ""
        result = worker.place(
            f"{whole.name}{name}", len(rows), width, kind="sums" if output.raw else "operand"
        )
        places = np.arange(rows.start, rows.stop)
        local = placed_at(output, result, places, self._mine.start - self._lead)
        block = csr_array(matrix[rows.start : rows.stop]) if part else matrix
        return worker.sparse(f"{key}{name}", block, self._operand, local, lead=self._lead)


def _within(chunk: range, rows: range) -> range:
    """Which rows of a chunk, counted from its first, are among these."""
    start = min(max(rows.start, chunk.start), chunk.stop)
    return range(start - chunk.start, max(start, min(rows.stop, chunk.stop)) - chunk.start)
