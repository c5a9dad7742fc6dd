# SPDX-License-Identifier: Apache-2.0
"""A trained network applied to a graph, which need not be the one it was trained on."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.errors import CheckpointError
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.training.engine import Engine
from gcnloom.training.weights import require_shapes

__all__ = ["Inference"]


class Inference:
    """Weights of a trained network, on a graph and a device.

    Parameters
    ----------
    graph : Graph
    weights : list of NDArray[np.float64]
        By layer.
    device : Device
        Its memory is cleared.
    model : {"gcn", "sage", "gin"}
    residual : bool
    epsilon : float
        Like those that the weights were trained with.
    serial : bool
        Whether the device's units take turns, for comparison.
    """

    def __init__(
        self, graph: Graph, weights: list[NDArray[np.float64]], device: Device, *,
        model: str = "gcn", residual: bool = False, epsilon: float = 0.0, serial: bool = False,
    ) -> None:  # fmt: skip
        blocks = 2 if model == "sage" else 1
        widths = (weights[0].shape[0] // blocks, *(array.shape[1] for array in weights))
        network = Network(widths=widths, model=model, residual=residual, epsilon=epsilon)
        require_shapes(weights, network)
        if graph.features.shape[1] != widths[0]:
            raise CheckpointError(
                f"the network takes {widths[0]} features and {graph.name!r} has "
                f"{graph.features.shape[1]}; try the data it was trained on"
            )
        self._weights = weights
        self._engine = Engine(graph, network, device, sampled=False, serial=serial)

    def logits(self) -> NDArray[np.float64]:
        """Logits of every node, shape ``(nodes, classes)``."""
        return self._engine.logits(self._weights)

    @property
    def cycles(self) -> int:
        """Device cycles of one pass, 0 on a device without a clock."""
        passes = max(1, self._engine.runs["infer"])
        return round(self._engine.counters["infer"]["cycles"] / passes)
