# SPDX-License-Identifier: Apache-2.0
"""Accuracy of training on a device beside the same training in 32-bit floating point."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph, gcn_norm
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer, first_weights, weights_sha256
from gcnloom_sim import golden

__all__ = ["Comparison", "compare", "train_float"]

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Test accuracies of one seed.

    Attributes
    ----------
    seed : int
    device, float32 : float
    weights_sha256 : str
        Of the weights after the last epoch on the device.
    """

    seed: int
    device: float
    float32: float
    weights_sha256: str


def compare(
    data: str, device: str, seeds: int, options: Options,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Comparison]:  # fmt: skip
    """Train with seeds 0, 1... on a device and in floating point; same first weights and options.

    Both keep the weights that are best on the validation nodes. Dropout draws differ: the golden
    model knows nothing of the device's generator.
    """
    rows = []
    for seed in range(seeds):
        chosen = replace(options, seed=seed)
        graph = datasets.load(data, seed=seed)
        progress(f"{data}, seed {seed}: {device}")
        with open_device(device) as opened:
            trainer = Trainer(graph, chosen, opened)
            trainer.run()
            logits = trainer.engine.logits(trainer.best)
        progress(f"{data}, seed {seed}: float32")
        rows.append(
            Comparison(
                seed=seed,
                device=golden.accuracy(logits, graph.labels, graph.test),
                float32=train_float(graph, chosen),
                weights_sha256=weights_sha256(trainer.weights),
            )
        )
    return rows


def train_float(graph: Graph, options: Options) -> float:
    """Test accuracy of the golden model in float32, at the weights best on validation nodes."""
    network = options.network(graph.features.shape[1], graph.classes)
    adjacency = gcn_norm(graph.adjacency).astype(np.float32)
    features = graph.features.astype(np.float32)
    rng = np.random.default_rng(options.seed)
    weights: list[Array] = [w.astype(np.float32) for w in first_weights(network, options.seed)]
    optimiser = options.make_optimiser()
    best, kept_accuracy = (-1.0, 0.0), 0.0
    for epoch in range(options.epochs + 1):
        logits = golden.forward(adjacency, features, weights).logits
        loss = golden.loss_of(logits, graph.labels, graph.val)
        rank = golden.accuracy(logits, graph.labels, graph.val), -loss
        if rank > best:
            best, kept_accuracy = rank, golden.accuracy(logits, graph.labels, graph.test)
        if epoch == options.epochs:
            break
        kept = network.kept
        masks = [None] + [
            (rng.random((graph.nodes, width)) < kept).astype(np.float32) / np.float32(kept)
            for width in network.widths[1:-1]
        ]
        result = golden.forward(adjacency, features, weights, masks)
        gradients = golden.backward(adjacency, weights, result, graph.labels, graph.train, masks)
        stepped = optimiser.step(
            [w.astype(np.float64) for w in weights], [g.astype(np.float64) for g in gradients]
        )
        weights = [w.astype(np.float32) for w in stepped]
    return kept_accuracy
