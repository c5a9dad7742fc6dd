# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy on the nodes whose labels are used, and accuracy."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Judge", "accuracy", "cross_entropy"]

Array = NDArray[np.float64]
DIGITS = 30
"""Bits of each of the two integers that hold a loss's fraction."""
LARGEST = 2.0**53
"""What a loss beyond it counts as."""


class Judge:
    """Loss and accuracy from the logits of all nodes.

    Losses add up as integers, so that the sum is the same in any order.

    Parameters
    ----------
    labels : NDArray[np.int64]
        Class of each node.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._labels = labels

    def cross_entropy(self, logits: Array, nodes: NDArray[np.int64]) -> tuple[float, Array]:
        """Mean over `nodes` and its gradient; see :func:`cross_entropy`."""
        own = self.known(logits, nodes)
        chosen = logits[own] - logits[own].max(axis=1, keepdims=True)
        log_total = np.log(np.exp(chosen).sum(axis=1))
        place = np.arange(len(own)), self._labels[own]
        total = self.total(_digits(log_total - chosen[place]))
        whole, high, low = (float(digits) for digits in total)
        loss = (whole + (high + low * 2.0**-DIGITS) * 2.0**-DIGITS) / len(nodes)
        slope = np.exp(chosen - log_total[:, None])
        slope[place] -= 1
        gradient = np.zeros_like(logits)
        np.add.at(gradient, own, slope / len(nodes))
        return loss, gradient

    def accuracy(self, logits: Array, nodes: NDArray[np.int64]) -> float | None:
        """Fraction of `nodes` whose largest logit is their label's; None of no nodes."""
        if not len(nodes):
            return None
        own = self.known(logits, nodes)
        right = np.count_nonzero(logits[own].argmax(axis=1) == self._labels[own])
        return int(self.total(np.array([right]))[0]) / len(nodes)

    def known(self, logits: Array, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the nodes whose logits are to be judged here: all of them."""
        return nodes

    def total(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum of the counts of everybody who judges: there is one."""
        return counts


def cross_entropy(
    logits: Array, labels: NDArray[np.int64], nodes: NDArray[np.int64]
) -> tuple[float, Array]:
    """Mean cross-entropy over `nodes` and its gradient with respect to all logits.

    A node listed twice counts twice.

    Parameters
    ----------
    logits : NDArray[np.float64]
        Shape ``(nodes, classes)``.
    labels : NDArray[np.int64]
        Class of each node.
    nodes : NDArray[np.int64]
        At least one index.

    Examples
    --------
    >>> loss, gradient = cross_entropy(np.zeros((2, 2)), np.array([0, 1]), np.array([0]))
    >>> round(loss, 4), gradient.tolist()
    (0.6931, [[-0.5, 0.5], [0.0, 0.0]])
    """
    return Judge(labels).cross_entropy(logits, nodes)


def accuracy(logits: Array, labels: NDArray[np.int64], nodes: NDArray[np.int64]) -> float | None:
    """Fraction of `nodes` whose largest logit is their label's; None of no nodes."""
    return Judge(labels).accuracy(logits, nodes)


def _digits(losses: Array) -> NDArray[np.int64]:
    """Sum up the losses' whole parts, and two times so many bits of their fractions."""
    capped = np.nan_to_num(losses, nan=LARGEST, posinf=LARGEST).clip(0.0, LARGEST)
    fraction, whole = np.modf(capped)
    rest, high = np.modf(fraction * 2.0**DIGITS)
    low = np.rint(rest * 2.0**DIGITS)
    return np.array([part.astype(np.int64).sum() for part in (whole, high, low)])
