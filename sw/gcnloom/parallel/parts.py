# SPDX-License-Identifier: Apache-2.0
"""Sub-networks on their way: from the first worker to all, and back."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.local import Trained
from gcnloom.parallel.rounds import Rounds

__all__ = ["KINDS", "VALUE_BYTES", "Parts", "round_bytes"]

Array = NDArray[np.float64]
KINDS = ("scatter", "gather", "statistics")
"""Classes of messages: sub-networks to the workers and back, and what their epochs showed."""
VALUE_BYTES = 8
"""Bytes of a weight on its way: the host's float64, so that nothing is rounded there."""


class Parts:
    """One worker's end of what is sent in a round; all workers call the same methods.

    Parameters
    ----------
    communicator : Communicator
    rounds : Rounds
    widths : tuple of int
        Of all of the network.
    """

    def __init__(
        self, communicator: Communicator, rounds: Rounds, widths: tuple[int, ...]
    ) -> None:  # fmt: skip
        self._communicator, self._rounds, self._widths = communicator, rounds, widths

    def scatter(self, number: int, weights: Sequence[Array]) -> list[Array]:
        """Send every worker its sub-network of a round; return this one's.

        `weights` are all of the network's, on the first worker.
        """
        size, rank = self._communicator.size, self._communicator.rank
        pieces = [np.zeros(0)] * size
        if rank == 0:
            groups = self._rounds.groups(number)
            pieces = [_flat(groups.gather(weights, worker)) for worker in range(size)]
        shapes = self.shapes(rank)
        nothing = [(0,)] * (size - 1)
        received = self._communicator.all_to_all("scatter", pieces, [(_count(shapes),), *nothing])
        return _parts(received[0], shapes)

    def gather(self, number: int, weights: Sequence[Array], part: Sequence[Array]) -> list[Array]:
        """Return all weights with every worker's sub-network at its places, on the first worker.

        `part` is this worker's; other workers return nothing.
        """
        size, leads = self._communicator.size, self._communicator.rank == 0
        pieces = [_flat(part), *[np.zeros(0)] * (size - 1)]
        shapes = [self.shapes(worker) for worker in range(size)]
        counts = [(_count(each) * leads,) for each in shapes]
        received = self._communicator.all_to_all("gather", pieces, counts)
        if not leads:
            return []
        groups = self._rounds.groups(number)
        after = [array.copy() for array in weights]
        for worker, flat in enumerate(received):
            groups.scatter(after, worker, _parts(flat, shapes[worker]))
        return after

    def statistics(self, trained: Trained) -> NDArray[np.float64]:
        """Tell the first worker of a round's epochs.

        Returns
        -------
        NDArray[np.float64]
            On the first worker, shape ``(workers, epochs + 1, 3)``: loss, accuracy and clipped
            results of each epoch, then the cycles of all; empty on others.
        """
        size, count = self._communicator.size, len(trained.history)
        mine = [[epoch.loss, epoch.train or 0.0, epoch.saturations] for epoch in trained.history]
        mine.append([trained.counters["cycles"], 0.0, 0.0])
        pieces = [np.array(mine, dtype=np.float64), *[np.zeros((0, 3))] * (size - 1)]
        shape = ((count + 1) * (self._communicator.rank == 0), 3)
        told: NDArray[np.float64] = np.stack(
            self._communicator.all_to_all("statistics", pieces, [shape] * size)
        )
        return told

    def shapes(self, worker: int) -> list[tuple[int, int]]:
        """Shapes of a worker's weights, by layer."""
        hidden = [self._rounds.width(worker)] * (len(self._widths) - 2)
        return list(pairwise([self._widths[0], *hidden, self._widths[-1]]))


def round_bytes(rounds: Rounds, widths: tuple[int, ...]) -> int:
    """Bytes of weights that all workers together send in a round.

    Every sub-network but the first worker's own goes out and comes back: ``2 * (m - 1) * |sub|``
    where the workers' parts are of one size.

    Examples
    --------
    >>> plan = Rounds(workers=2, local_iterations=1, epochs=2, hidden=4, hidden_layers=1, seed=0)
    >>> round_bytes(plan, (3, 4, 1))
    128
    """
    total = 0
    for worker in range(1, rounds.workers):
        hidden = [rounds.width(worker)] * (len(widths) - 2)
        total += _count(list(pairwise([widths[0], *hidden, widths[-1]])))
    return 2 * total * VALUE_BYTES


def _count(shapes: Sequence[tuple[int, int]]) -> int:
    return sum(inner * outer for inner, outer in shapes)


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([array.ravel() for array in arrays])


def _parts(flat: Array, shapes: Sequence[tuple[int, int]]) -> list[Array]:
    ends = np.cumsum([inner * outer for inner, outer in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]
