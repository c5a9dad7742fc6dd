# SPDX-License-Identifier: Apache-2.0
"""Mixture of parallelism: aggregation by features, dense products by nodes, a switch between.

Every worker holds the whole graph. It aggregates some columns of all nodes, and multiplies all
columns of some nodes by the weights; the layout switches by an all-to-all of blocks.
"""

import numpy as np
from scipy.sparse import csr_array

from gcnloom.lower.builder import Output
from gcnloom.parallel.scheme import Aggregation, Link, Mantissas, Rows, Scheme, placed_at, wire_type
from gcnloom.parallel.shares import even_shares

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
        self, link: Link, key: str, matrix: csr_array, output: Output, kinds: tuple[str, str]
    ) -> Aggregation:
        """Prepare an aggregation of this worker's columns."""
        return _FeatureParallel(link, key, matrix, output, kinds)


class _FeatureParallel(Aggregation):
    """All edges times this worker's columns.

    Columns keep their places within a vector, as draws are keyed by them: those before the
    first, down to a multiple of the lanes, are zero.
    """

    def __init__(
        self, link: Link, key: str, matrix: csr_array, output: Output, kinds: tuple[str, str]
    ) -> None:
        worker, size = link.worker, link.communicator.size
        whole = output.tensor
        self._link, self._kinds = link, kinds
        self._columns = even_shares(whole.features, size)
        self._mine = self._columns[link.rank]
        self._after = even_shares(whole.rows, size)
        self._before = even_shares(matrix.shape[1], size)
        self._types = tuple(
            wire_type(bits) for bits in (
                worker.config.operand_width,
                worker.config.sum_width if output.raw else worker.config.operand_width,
            )
        )  # fmt: skip
        self._lead = self._mine.start % worker.config.lanes
        width = self._lead + len(self._mine) if self._mine else 0
        self._operand = worker.place(f"{whole.name} operand", matrix.shape[1], width)
        result = worker.place(
            whole.name, whole.rows, width, kind="sums" if output.raw else "operand"
        )
        local = placed_at(output, result, np.arange(whole.rows), self._mine.start - self._lead)
        self.operator = worker.sparse(key, matrix, self._operand, local, lead=self._lead)

    def run(self, own: Mantissas, shifts: dict[int, int], step: int) -> Mantissas:
        """Switch to columns, multiply, switch back to rows."""
        worker, communicator = self._link.worker, self._link.communicator
        pieces = [own[:, each.start : each.stop].astype(self._types[0]) for each in self._columns]
        shapes = [(len(rows), len(self._mine)) for rows in self._before]
        received = communicator.all_to_all(self._kinds[0], pieces, shapes)
        if self._operand.stored is not None:
            operand = np.zeros((self._operand.rows, self._operand.features), dtype=np.int64)
            operand[:, self._lead :] = np.concatenate(received)
            worker.write(self._operand, operand)
        result = worker.run(self.operator, shifts, step)[:, self._lead :]
        back = [result[rows.start : rows.stop].astype(self._types[1]) for rows in self._after]
        shapes = [(len(self._after[self._link.rank]), len(each)) for each in self._columns]
        parts = communicator.all_to_all(self._kinds[1], back, shapes)
        return np.concatenate(parts, axis=1).astype(np.int64)
