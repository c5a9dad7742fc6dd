# SPDX-License-Identifier: Apache-2.0
"""A training loop in the open: an engine, softmax cross entropy and Adam, nothing hidden."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import open as open_device
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.training.engine import Engine
from gcnloom.training.optimiser import Adam

__all__ = ["Trained", "loss_and_gradient", "start_weights", "train"]

MOST_REHEARSALS = 6


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training run leaves."""

    weights: list[NDArray[np.float64]]
    losses: list[float]
    counters: dict[str, int]

    def bits(self) -> bytes:
        """All weights and losses, bit for bit."""
        return b"".join(array.tobytes() for array in [*self.weights, np.array(self.losses)])


def start_weights(widths: tuple[int, ...], seed: int) -> list[NDArray[np.float64]]:
    """Glorot's uniform weights."""
    rng = np.random.default_rng(seed)
    return [
        rng.uniform(-1, 1, (inner, outer)) * np.sqrt(6 / (inner + outer))
        for inner, outer in pairwise(widths)
    ]


def loss_and_gradient(
    graph: Graph, logits: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Mean softmax cross entropy of the training nodes, and its gradient by the logits."""
    nodes = graph.train
    shifted = logits[nodes] - logits[nodes].max(axis=1, keepdims=True)
    shares = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    here = np.arange(len(nodes)), graph.labels[nodes]
    loss = float(-np.log(shares[here]).mean())
    shares[here] -= 1
    gradient = np.zeros_like(logits)
    gradient[nodes] = shares / len(nodes)
    return loss, gradient


def train(
    graph: Graph,
    spec: str,
    *,
    epochs: int,
    hidden: int = 16,
    dropout: float = 0.5,
    seed: int = 0,
    **options: Any,
) -> Trained:
    """Train on a device; the first step is rehearsed until its shifts fit its results."""
    network = Network(widths=(graph.features.shape[1], hidden, graph.classes), dropout=dropout)
    weights, optimiser = start_weights(network.widths, seed), Adam(lr=0.01)
    losses = []
    with open_device(spec, memory_megabytes=64, **options) as device:
        engine = Engine(graph, network, device, seed=seed)
        for step in range(epochs):
            for _ in range(MOST_REHEARSALS if step == 0 else 1):
                loss, gradient = loss_and_gradient(
                    graph, engine.forward(weights, step=step, training=True)
                )
                gradients = engine.backward(gradient, step=step)
                if engine.settled("forward") and engine.settled("backward"):
                    break
            losses.append(loss)
            weights = list(optimiser.step(weights, gradients))
        return Trained(weights=weights, losses=losses, counters=device.counters())
