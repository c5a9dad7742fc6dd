# SPDX-License-Identifier: Apache-2.0
"""Golden model: the textbook graph convolutional network, in SciPy, knowing no hardware."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forward", "accuracy", "backward", "error_of", "forward", "loss_of", "train"]

Array = NDArray[np.floating]
Step = Callable[[Sequence[Array], Sequence[Array]], Sequence[Array]]


@dataclass(frozen=True, kw_only=True)
class Forward:
    """What a forward pass leaves for the backward pass.

    Parameters
    ----------
    inputs : list
        Input of each layer, after dropout.
    sums : list of NDArray
        Output of each layer before its ReLU; the last are the logits.
    """

    inputs: list[Any]
    sums: list[Array]

    @property
    def logits(self) -> Array:
        """Output of the last layer, which has no ReLU."""
        return self.sums[-1]


def forward(
    adjacency: Any, features: Any, weights: Sequence[Array], masks: Sequence[Any | None] = ()
) -> Forward:
    """``H[i + 1] = relu(A (H[i] * masks[i]) W[i])``, multiplied as ``A (H W)``; no bias.

    Parameters
    ----------
    adjacency : csr_array
        Normalised, row is target.
    features : csr_array or NDArray
    weights : sequence of NDArray
    masks : sequence, optional
        For each layer None or what its input is multiplied by: 0 or ``1 / (1 - rate)``.
    """
    inputs, sums, hidden = [], [], features
    for index, weight in enumerate(weights):
        mask = masks[index] if index < len(masks) else None
        dropped = hidden if mask is None else _times(hidden, mask)
        inputs.append(dropped)
        sums.append(adjacency @ (dropped @ weight))
        hidden = np.maximum(sums[-1], 0)
    return Forward(inputs=inputs, sums=sums)


def loss_of(logits: Array, labels: NDArray[np.int64], nodes: NDArray[np.int64]) -> float:
    """Mean softmax cross entropy over `nodes`."""
    return float(-np.mean(_log_softmax(logits[nodes])[np.arange(len(nodes)), labels[nodes]]))


def error_of(logits: Array, labels: NDArray[np.int64], nodes: NDArray[np.int64]) -> Array:
    """Gradient of :func:`loss_of` with respect to the logits."""
    error = np.exp(_log_softmax(logits[nodes]))
    error[np.arange(len(nodes)), labels[nodes]] -= 1
    gradient = np.zeros_like(logits)
    np.add.at(gradient, nodes, error / len(nodes))
    return gradient


def backward(
    adjacency: Any,
    weights: Sequence[Array],
    result: Forward,
    labels: NDArray[np.int64],
    nodes: NDArray[np.int64],
    masks: Sequence[Any | None] = (),
) -> list[Array]:
    """Gradient of :func:`loss_of` with respect to each weight."""
    gradient = error_of(result.logits, labels, nodes)
    gradients = []
    for index in reversed(range(len(weights))):
        propagated = adjacency.T @ gradient
        gradients.append(result.inputs[index].T @ propagated)
        if index:
            mask = masks[index] if index < len(masks) else None
            gradient = propagated @ weights[index].T
            gradient = gradient if mask is None else gradient * mask
            gradient = gradient * (result.sums[index - 1] > 0)
    return gradients[::-1]


def accuracy(logits: Array, labels: NDArray[np.int64], nodes: NDArray[np.int64]) -> float:
    """Share of `nodes` whose largest logit is their label's."""
    return float(np.mean(np.argmax(logits[nodes], axis=1) == labels[nodes]))


def train(
    adjacency: Any,
    features: Any,
    labels: NDArray[np.int64],
    nodes: NDArray[np.int64],
    weights: Sequence[Array],
    step: Step,
    *,
    epochs: int,
    dropout: float = 0.0,
    seed: int = 0,
    dtype: type[np.floating] = np.float64,
) -> tuple[list[Array], list[float]]:
    """Train on `nodes`; return the weights and each epoch's training loss.

    `step` maps parameters and gradients to new parameters. Dropout on sparse features draws for
    their stored entries only. All products are computed in `dtype`.
    """
    rng = np.random.default_rng(seed)
    adjacency, features = adjacency.astype(dtype), features.astype(dtype)
    weights, losses = [weight.astype(dtype) for weight in weights], []
    for _ in range(epochs):
        masks: list[Any] = []
        if dropout:
            hidden = [np.empty((features.shape[0], len(w)), dtype=dtype) for w in weights[1:]]
            masks = [_drop(rng, inputs, dropout) for inputs in (features, *hidden)]
        result = forward(adjacency, features, weights, masks)
        losses.append(loss_of(result.logits, labels, nodes))
        gradients = backward(adjacency, weights, result, labels, nodes, masks)
        weights = [weight.astype(dtype) for weight in step(weights, gradients)]
    return weights, losses


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _times(hidden: Any, mask: Any) -> Any:
    return hidden * mask if isinstance(hidden, np.ndarray) else hidden.multiply(mask).tocsr()


def _drop(rng: np.random.Generator, hidden: Any, rate: float) -> Any:
    mask = hidden.copy()
    values = mask if isinstance(mask, np.ndarray) else mask.data
    values[...] = (rng.random(values.shape) >= rate) / (1 - rate)
    return mask
