# SPDX-License-Identifier: Apache-2.0
"""Golden model of GraphSAGE, of the graph isomorphism network and of residual layers, in SciPy.

Textbook formulae, knowing no hardware; see the papers that :class:`gcnloom.layers.Network` names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, eye_array

from gcnloom_sim.golden import Forward, error_of

__all__ = ["Layer", "backward", "forward", "layers_of"]

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """``A (H W)``, plus ``H V`` with root weights, plus ``H`` of a residual layer.

    Parameters
    ----------
    adjacency : csr_array or None
        Row is target; None: the layer is ``H W``.
    rooted : bool
        Whether there are root weights ``V``, the lower half of the layer's weights.
    residual : bool
    """

    adjacency: Any
    rooted: bool = False
    residual: bool = False


def layers_of(
    model: str, adjacency: Any, layers: int, *, residual: bool = False, epsilon: float = 0.0
) -> list[Layer]:
    """Layers of a network of so many graph convolutions, one for each matrix of weights.

    Parameters
    ----------
    model : {"gcn", "sage", "gin"}
    adjacency : csr_array
        Row is target; not normalised, without self loops.
    layers : int
    residual : bool
        Whether hidden layers whose input is one add it.
    epsilon : float
    """
    adjacency = csr_array(adjacency, dtype=np.float64)
    own = eye_array(adjacency.shape[0])
    if model == "gin":
        summed = Layer(adjacency=csr_array(adjacency + (1 + epsilon) * own))
        return [summed, Layer(adjacency=None)] * layers
    with np.errstate(divide="ignore"):
        if model == "sage":
            degrees = 1 / adjacency.sum(axis=1)
            degrees[np.isinf(degrees)] = 0  # The mean over no neighbours.
            along = csr_array(diags_array(degrees) @ adjacency)
        else:
            roots = diags_array((adjacency + own).sum(axis=1) ** -0.5)
            along = csr_array(roots @ (adjacency + own) @ roots)
    return [
        Layer(adjacency=along, rooted=model == "sage", residual=residual and 0 < index < layers - 1)
        for index in range(layers)
    ]


def forward(
    layers: Sequence[Layer], features: Any, weights: Sequence[Array],
    masks: Sequence[Any | None] = (),
) -> Forward:  # fmt: skip
    """Return inputs and sums of each layer, a ReLU between; see :func:`gcnloom_sim.golden.forward`.

    Root weights of a residual layer are ``V``, without what the layer adds.
    """
    inputs, sums, hidden = [], [], features
    for index, (layer, weight) in enumerate(zip(layers, weights, strict=True)):
        mask = masks[index] if index < len(masks) else None
        hidden = hidden if mask is None else hidden * mask
        inputs.append(hidden)
        product = hidden @ weight[: hidden.shape[1]]
        total = product if layer.adjacency is None else layer.adjacency @ product
        if layer.rooted:
            total = total + hidden @ weight[hidden.shape[1] :]
        sums.append(total + hidden if layer.residual else total)
        hidden = np.maximum(sums[-1], 0)
    return Forward(inputs=inputs, sums=sums)


def backward(
    layers: Sequence[Layer], weights: Sequence[Array], result: Forward,
    labels: NDArray[np.int64], nodes: NDArray[np.int64], masks: Sequence[Any | None] = (),
) -> list[Array]:  # fmt: skip
    """Gradient of the mean softmax cross entropy over `nodes` with respect to each weight."""
    gradient = error_of(result.logits, labels, nodes)
    gradients = []
    for index in reversed(range(len(layers))):
        layer, weight, inputs = layers[index], weights[index], result.inputs[index]
        inner = inputs.shape[1]
        spread = gradient if layer.adjacency is None else layer.adjacency.T @ gradient
        below = spread @ weight[:inner].T
        parts = [inputs.T @ spread]
        if layer.rooted:
            parts.append(inputs.T @ gradient)
            below = below + gradient @ weight[inner:].T
        if layer.residual:
            below = below + gradient
        gradients.append(np.vstack(parts))
        if index:
            mask = masks[index] if index < len(masks) else None
            below = below if mask is None else below * mask
            gradient = below * (result.sums[index - 1] > 0)
    return gradients[::-1]
