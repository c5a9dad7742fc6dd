# SPDX-License-Identifier: Apache-2.0
"""Accuracy and loss of training on a device beside the same training in 32-bit floating point."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights, weights_sha256
from gcnloom_sim import golden, golden_models
from gcnloom_spec.random import DROPOUT, draw

__all__ = ["Comparison", "compare", "dropped", "train_float"]

Array = NDArray[np.floating]
TAIL = 10
"""Last epochs whose mean loss is compared."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a seed came to.

    Attributes
    ----------
    seed : int
    device, float32 : float
        Test accuracies.
    device_losses, float32_losses : list of float
        Of each epoch.
    weights_sha256 : str
        Of the weights after the last epoch on the device.
    """

    seed: int
    device: float
    float32: float
    device_losses: list[float]
    float32_losses: list[float]
    weights_sha256: str

    @property
    def divergence(self) -> float:
        """Largest difference of an epoch's losses."""
        return float(np.max(np.abs(np.subtract(self.device_losses, self.float32_losses))))

    @property
    def last_losses(self) -> tuple[float, float]:
        """Mean losses of the last epochs, on the device and in floating point."""
        return (
            float(np.mean(self.device_losses[-TAIL:])), float(np.mean(self.float32_losses[-TAIL:]))
        )  # fmt: skip


def compare(
    data: str, device: str, seeds: int, options: Options,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Comparison]:  # fmt: skip
    """Train with seeds 0, 1... on a device and in floating point.

    Both begin with the same weights, drop the same elements, and keep the weights that the option
    `update` says: the last, or those best on the validation nodes.
    """
    rows = []
    for seed in range(seeds):
        chosen = replace(options, seed=seed)
        graph = datasets.load(data, seed=seed)
        progress(f"{data}, seed {seed}: {device}")
        with open_device(device) as opened:
            trainer = trainer_for(graph, chosen, opened)
            trainer.run()
            logits = trainer.engine.logits(trainer.best)
            order = trainer.engine.graph.order
        progress(f"{data}, seed {seed}: float32")
        float32, losses = train_float(graph, chosen, order)
        rows.append(
            Comparison(
                seed=seed,
                device=golden.accuracy(logits, graph.labels, graph.test),
                float32=float32,
                device_losses=[epoch.loss for epoch in trainer.history],
                float32_losses=losses,
                weights_sha256=weights_sha256(trainer.weights),
            )
        )
    return rows


def train_float(
    graph: Graph, options: Options, order: NDArray[np.int64]
) -> tuple[float, list[float]]:
    """Test accuracy and losses of the golden model in float32.

    It drops what a device does on which the nodes lie in the given order.
    """
    network = options.network(graph.features.shape[1], graph.classes)
    layers = _layers(graph, options)
    features = graph.features.astype(np.float32)
    weights: list[Array] = [w.astype(np.float32) for w in first_weights(network, options.seed)]
    optimiser = options.make_optimiser()
    best, kept_accuracy, losses = (-1.0, 0.0), 0.0, []
    for epoch in range(options.epochs + 1):
        logits = golden_models.forward(layers, features, weights).logits
        rank = (float(epoch), 0.0)
        if options.update == "host":
            loss = golden.loss_of(logits, graph.labels, graph.val)
            rank = golden.accuracy(logits, graph.labels, graph.val), -loss
        if rank > best:
            best, kept_accuracy = rank, golden.accuracy(logits, graph.labels, graph.test)
        if epoch == options.epochs:
            break
        masks = dropped(network, order, options.seed, epoch)
        result = golden_models.forward(layers, features, weights, masks)
        losses.append(golden.loss_of(result.logits, graph.labels, graph.train))
        gradients = golden_models.backward(
            layers, weights, result, graph.labels, graph.train, masks
        )
        stepped = optimiser.step(
            [w.astype(np.float64) for w in weights], [g.astype(np.float64) for g in gradients]
        )
        weights = [w.astype(np.float32) for w in stepped]
    return kept_accuracy, losses


def _layers(graph: Graph, options: Options) -> list[golden_models.Layer]:
    """Golden layers in float32; root weights have a residual's identity in them already."""
    layers = golden_models.layers_of(
        options.model, graph.adjacency, options.layers, epsilon=options.epsilon,
        residual=options.residual and options.model == "gcn",
    )  # fmt: skip
    return [
        replace(layer, adjacency=layer.adjacency.astype(np.float32)) if layer.adjacency is not None
        else layer
        for layer in layers
    ]  # fmt: skip


def dropped(network: Network, order: NDArray[np.int64], seed: int, step: int) -> list[Array | None]:
    """Factor of every hidden element in a step, by layer; inputs are never dropped."""
    masks: list[Array | None] = [None]
    for layer, width in enumerate(network.widths[1:-1], start=1):
        draws = draw(
            seed=seed, step=step, tensor=network.identifier(f"hidden{layer}"), purpose=DROPOUT,
            rows=np.arange(len(order)), feature=0, count=width,
        )  # fmt: skip
        mask = np.zeros((len(order), width), dtype=np.float32)
        mask[order] = (draws >= network.threshold) / np.float32(network.kept)
        masks.append(mask)
    return masks
