# SPDX-License-Identifier: Apache-2.0
"""The passes of a block on one worker's device, and what it exchanges with the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.layers import Network
from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.dense import padded_inner
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.scheme import wire_type
from gcnloom.parallel.worker import Operator, Worker
from gcnloom.sampling.block import Block, Share
from gcnloom_spec.number import envelope, requantise, wrap
from gcnloom_spec.random import DROPOUT, draw

__all__ = ["BlockPasses"]

Mantissas = NDArray[np.int64]
Shifts = dict[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Forward:
    product: Operator
    operand: Tensor
    activation: Operator
    keep: Tensor | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Backward:
    gradient: Tensor
    spreading: Operator
    spread: Tensor
    weights: Operator
    passing: Operator | None


class BlockPasses:
    """Forward and backward pass of one block; all workers call the same methods.

    Rows of vertices come from and go to their owners as the block says: operands forward, raw
    sums backward, which the owner adds up and requantises as a device would, so that the bits
    are those of one worker with the whole block. Dropout is drawn by vertex.

    Parameters
    ----------
    network : Network
        Rounds to the nearest.
    worker : Worker
        Nothing is placed on its device yet.
    communicator : Communicator
        Of those who share the block.
    block : Block
    adjacency : sequence of csr_array of int
        Mantissas of each layer's weights.
    features : csr_array of int or NDArray[np.int64]
        Mantissas of the features of ``block.inputs``, in that order.
    """

    def __init__(
        self, network: Network, worker: Worker, communicator: Communicator, block: Block,
        adjacency: Sequence[csr_array], features: Any,
    ) -> None:  # fmt: skip
        self._network, self._worker, self._communicator = network, worker, communicator
        self._block, self._adjacency, self._features = block, adjacency, features
        self._sparse = issparse(features)
        self._weights: dict[int, Tensor] = {}
        self._transposed: dict[int, Tensor] = {}
        self._inputs: dict[int, Tensor] = {}
        for layer, (inner, outer) in enumerate(pairwise(network.widths), start=1):
            self._place(layer, inner, outer)
        self._forward = [self._prepare_forward(layer) for layer in self._layers]
        self._backward = [self._prepare_backward(layer) for layer in self._layers]

    @property
    def _layers(self) -> range:
        return range(1, self._network.layers + 1)

    def write_weights(self, operands: list[tuple[Mantissas, int]]) -> None:
        """Write the mantissas of all weights, and of the later layers' transposed ones."""
        for layer, (mantissas, _) in enumerate(operands, start=1):
            self._worker.write(self._weights[layer], mantissas)
            if layer > 1:
                self._worker.write(self._transposed[layer], mantissas.T)

    def forward(self, shifts: Shifts, step: int) -> Mantissas:
        """Return the sums of the logits of ``block.seeds``."""
        for layer, part in zip(self._layers, self._forward, strict=True):
            share = self._block.layers[layer - 1]
            product = self._worker.run(part.product, shifts, step)
            self._worker.write(part.operand, self._gather(share, product))
            if part.keep is not None:
                self._worker.write(part.keep, self._draws(layer, share, step))
            rows = self._worker.run(part.activation, shifts, step)
            if layer < self._network.layers:
                self._worker.write(self._inputs[layer + 1], rows)
        return rows

    def backward(self, gradient: Mantissas, shifts: Shifts, step: int) -> list[Mantissas]:
        """Return this worker's part of the weight gradients, as sums.

        Parameters
        ----------
        gradient : NDArray[np.int64]
            Mantissas, of the logits of ``block.seeds``.
        shifts : dict[int, int]
        step : int
        """
        worker, widths = self._worker, self._network.widths
        sums: list[Mantissas] = []
        for layer in reversed(self._layers):
            part, share = self._backward[layer - 1], self._block.layers[layer - 1]
            worker.write(part.gradient, gradient)
            spread = worker.run(part.spreading, shifts, step)
            if self._communicator.size > 1:
                spread = self._scatter(layer, share, spread, shifts)
            worker.write(part.spread, spread)
            sums.insert(0, worker.run(part.weights, shifts, step)[: widths[layer - 1]])
            if part.passing is not None:
                gradient = worker.run(part.passing, shifts, step)
        return sums

    def _place(self, layer: int, inner: int, outer: int) -> None:
        """Place the weights and the input of a layer; write dense features."""
        worker = self._worker
        own = len(self._block.layers[layer - 1].own)
        sparse = layer == 1 and self._sparse
        rows = inner if sparse else padded_inner(inner, worker.config)
        self._weights[layer] = worker.place(f"weights{layer}", rows, outer)
        if layer > 1:
            rows = padded_inner(outer, worker.config)
            self._transposed[layer] = worker.place(f"weights{layer}_transposed", rows, inner)
        if not sparse:
            self._inputs[layer] = worker.place(f"hidden{layer - 1}", own, inner)
            if layer == 1:
                worker.write(self._inputs[1], self._features)

    def _prepare_forward(self, layer: int) -> _Forward:
        network, worker = self._network, self._worker
        share, width = self._block.layers[layer - 1], network.widths[layer]
        name = f"product{layer}"
        tensor = worker.place(name, len(share.own), width)
        output = Output(tensor=tensor, identifier=network.identifier(name))
        if layer == 1 and self._sparse:
            product = worker.sparse("features", self._features, self._weights[1], output)
        else:
            product = worker.dense(self._inputs[layer], self._weights[layer], output)
        last = layer == network.layers
        name = "logits" if last else f"hidden{layer}"
        rows, keep = len(share.targets), None
        result = worker.place(f"{name} result", rows, width, kind="sums" if last else "operand")
        output = Output(tensor=result, raw=True)
        if not last:
            if network.threshold and rows:
                keep = worker.place(f"{name} keep", rows, width)
            output = Output(
                tensor=result, identifier=network.identifier(name), relu=True, mask=keep
            )
        operand = worker.place(f"{name} operand", len(share.sources), width)
        key = f"adjacency{layer}"
        activation = worker.sparse(key, self._adjacency[layer - 1], operand, output)
        return _Forward(product=product, operand=operand, activation=activation, keep=keep)

    def _prepare_backward(self, layer: int) -> _Backward:
        network, worker = self._network, self._worker
        share, width = self._block.layers[layer - 1], network.widths[layer]
        gradient = worker.place(f"gradient{layer}", len(share.targets), width)
        identifier = network.identifier(f"aggregate_gradient{layer}")
        alone = self._communicator.size == 1
        result = worker.place(
            f"spread{layer} result", len(share.sources), width, kind="operand" if alone else "sums"
        )
        output = Output(tensor=result, identifier=identifier if alone else 0, raw=not alone)
        transposed = csr_array(self._adjacency[layer - 1].T)
        spreading = worker.sparse(f"transposed{layer}", transposed, gradient, output)
        spread = worker.place(f"spread{layer}", len(share.own), width)
        passing = None
        if layer > 1:
            tensor = worker.place(f"passed{layer - 1}", len(share.own), network.widths[layer - 1])
            output = Output(
                tensor=tensor, identifier=network.identifier(f"gradient{layer - 1}"),
                mask=self._inputs[layer],
            )  # fmt: skip
            passing = worker.dense(spread, self._transposed[layer], output)
        return _Backward(
            gradient=gradient, spreading=spreading, spread=spread,
            weights=self._weight_gradient(layer, spread), passing=passing,
        )  # fmt: skip

    def _weight_gradient(self, layer: int, spread: Tensor) -> Operator:
        """Multiply this worker's rows of a layer's input by those of its gradient."""
        worker, config = self._worker, self._worker.config
        inner, width = self._network.widths[layer - 1], self._network.widths[layer]
        name = f"weight_gradient{layer}"
        if layer == 1 and self._sparse:
            tensor = worker.place(name, inner, width, kind="sums")
            transposed = csr_array(self._features.T)
            output = Output(tensor=tensor, raw=True)
            return worker.sparse("features transposed", transposed, spread, output)
        rows = padded_inner(inner, config)
        tensor = worker.place(name, rows, width, kind="sums", block=config.rows)
        return worker.transposed(self._inputs[layer], spread, Output(tensor=tensor, raw=True))

    def _gather(self, share: Share, own: Mantissas) -> Mantissas:
        """Rows of all sources, from their owners."""
        kind = wire_type(self._worker.config.operand_width)
        pieces = [own[send].astype(kind) for send in share.sends]
        shapes = [(len(place), own.shape[1]) for place in share.places]
        received = self._communicator.all_to_all("activations", pieces, shapes)
        rows = np.zeros((len(share.sources), own.shape[1]), dtype=np.int64)
        for place, part in zip(share.places, received, strict=True):
            rows[place] = part
        return rows

    def _scatter(self, layer: int, share: Share, sums: Mantissas, shifts: Shifts) -> Mantissas:
        """Bring sums of sources to their owners, add up those of a vertex, requantise."""
        config, worker = self._worker.config, self._worker
        kind = wire_type(config.sum_width)
        pieces = [sums[place].astype(kind) for place in share.places]
        shapes = [(len(send), sums.shape[1]) for send in share.sends]
        received = self._communicator.all_to_all("gradients", pieces, shapes)
        total = np.zeros((len(share.own), sums.shape[1]), dtype=np.int64)
        for send, part in zip(share.sends, received, strict=True):
            total[send] += part
        total = wrap(total, config.sum_width)
        identifier = self._network.identifier(f"aggregate_gradient{layer}")
        rows, clipped = requantise(total, shifts[identifier], config.operand_width)
        worker.envelopes[identifier] |= envelope(total)
        worker.saturations[identifier] += clipped
        return rows

    def _draws(self, layer: int, share: Share, step: int) -> Mantissas:
        """Draw what dropout keeps of the rows of this worker's vertices: ones, and zeros."""
        octets = draw(
            seed=self._worker.seed, step=step, tensor=self._network.identifier(f"hidden{layer}"),
            purpose=DROPOUT, rows=share.targets, feature=0, count=self._network.widths[layer],
        )  # fmt: skip
        return (octets >= self._network.threshold).astype(np.int64)
