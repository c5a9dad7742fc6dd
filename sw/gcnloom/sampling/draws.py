# SPDX-License-Identifier: Apache-2.0
"""Draws of samplers, keyed by vertex or edge, that change slowly from batch to batch if asked to.

Any worker draws the same for a vertex, in any order. *Dependent* batches are those of Balin,
Sancak and Çatalyürek ("Cooperative minibatching in graph neural networks", 2023): normal
variables of two seeds are mixed by an angle, and both seeds move on every `kappa` iterations.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gcnloom.errors import ConfigError
from gcnloom_spec.random import threefry

__all__ = ["DEAL", "OWN", "SAMPLE", "Draws", "deal_order", "owners"]

Vertices = NDArray[np.int64]
SAMPLE, DEAL, OWN = 0x5A4D, 0xDEA1, 0x0114
"""Purposes, the second word of a key; the device's draws are keyed by (seed, step)."""
FRACTION = 53
"""Bits of a uniform draw, as many as a float64 holds."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Standard normal draws by iteration, layer, and vertex or edge.

    With ``c = (iteration mod kappa) / kappa`` a draw is ``cos(pi c / 2) N1 + sin(pi c / 2) N2``;
    after `kappa` iterations N2 becomes N1. Draws of consecutive iterations correlate by
    ``cos(pi / (2 kappa))``, and each by itself is standard normal.

    Parameters
    ----------
    seed : int
        Within 32 bits.
    kappa : int
        Iterations after which nothing of a draw is left; 1: all draws are independent.

    Examples
    --------
    >>> draws = Draws(seed=1, kappa=2)
    >>> draws.normals(0, 1, np.arange(2)).round(3).tolist()
    [-0.873, 2.199]
    """

    seed: int
    kappa: int = 1

    def __post_init__(self) -> None:
        if type(self.kappa) is not int or self.kappa < 1:
            raise ConfigError(f"kappa={self.kappa!r} is no number of iterations from 1 on; try 1")

    def normals(
        self, iteration: int, layer: int, vertices: Vertices, others: Vertices | None = None
    ) -> NDArray[np.float64]:
        """Draw for vertices, or for the edges from `others` to them.

        Parameters
        ----------
        iteration, layer : int
        vertices : NDArray[np.int64]
            Shape ``(count,)``.
        others : NDArray[np.int64], optional
            Of the same shape.

        Returns
        -------
        NDArray[np.float64]
            Of the same shape; multiplied and added without any fused operation or vectorised
            transcendental function, so that a vertex's draw does not depend on its place.
        """
        number, phase = divmod(iteration, self.kappa)
        first = self._independent(number, layer, vertices, others)
        if not phase:
            return first
        angle = pi / 2 * (phase / self.kappa)
        second = self._independent(number + 1, layer, vertices, others)
        return cos(angle) * first + sin(angle) * second

    def _independent(
        self, number: int, layer: int, vertices: Vertices, others: Vertices | None
    ) -> NDArray[np.float64]:
        key = _subkey(self.seed, SAMPLE, number, layer)
        # A vertex cannot be confused with a loop of it: samplers leave loops as they are.
        other = vertices if others is None else others
        x, y = threefry(key, (vertices.astype(np.uint32), other.astype(np.uint32)))
        bits = (x.astype(np.uint64) << np.uint64(32) | y) >> np.uint64(64 - FRACTION)
        normal: NDArray[np.float64] = ndtri((bits + 0.5) * 2.0**-FRACTION)
        return normal


def deal_order(seed: int, epoch: int, vertices: Vertices) -> Vertices:
    """Order in which an epoch takes `vertices`: places in the array, at random."""
    x, y = threefry(
        _subkey(seed, DEAL, epoch, 0), (vertices.astype(np.uint32), np.zeros(1, dtype=np.uint32))
    )
    return np.lexsort((y, x)).astype(np.int64)


def owners(seed: int, vertices: Vertices, workers: int) -> Vertices:
    """Worker that owns each vertex: a hash, so that nobody needs a table of all of them."""
    x, _ = threefry((seed, OWN), (vertices.astype(np.uint32), np.zeros(1, dtype=np.uint32)))
    return (x % np.uint32(workers)).astype(np.int64)


def _subkey(seed: int, purpose: int, number: int, layer: int) -> tuple[int, int]:
    counter = np.array([number], dtype=np.uint32), np.array([layer], dtype=np.uint32)
    x, y = threefry((seed, purpose), counter)
    return int(x[0]), int(y[0])
