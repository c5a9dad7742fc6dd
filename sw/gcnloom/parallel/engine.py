# SPDX-License-Identifier: Apache-2.0
"""A network on several devices, one worker's part: passes, exchanges, shared statistics."""

from collections import Counter
from dataclasses import replace
from io import BytesIO
from math import lcm

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.layers import Network
from gcnloom.lower.engines import check_sparse
from gcnloom.lower.graph import OrderedGraph
from gcnloom.lower.work import check_sums, necessary_macs
from gcnloom.parallel.backward import Backward
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.layers import Forward, Site
from gcnloom.parallel.pipeline import SYNCHRONOUS, Pipeline
from gcnloom.parallel.scheme import Link, Moment, Scheme
from gcnloom.parallel.shared import SharedPasses
from gcnloom.parallel.worker import Worker
from gcnloom.training.scaling import backward_exponents, forward_exponents
from gcnloom.training.weights import weight_operands
from gcnloom_spec.number import quantise

__all__ = ["KINDS", "ParallelEngine"]

Array = NDArray[np.float64]
KINDS = ("activations", "logits", "gradients", "weights", "inference", "statistics")
"""Classes of messages: operands and results of the forward pass but for its logits, those of the
backward pass, weight gradients, all of inference, and statistics, losses and accuracies."""


class ParallelEngine(SharedPasses):
    """Every matrix product of a GCN's passes, this worker's part of them.

    All workers call the same methods in the same order, with the same weights.

    Parameters
    ----------
    graph : OrderedGraph
    network : Network
    device : Device
        Its memory is cleared.
    communicator : Communicator
    scheme : Scheme
    seed : int
        First word of the key of every random draw.
    sampled : bool
        Whether the passes of training compute only what the training nodes' loss sees.
    serial : bool
        Whether the device's units take turns, for comparison.
    pipeline : Pipeline
        How exchanges go beside products; those of inference are of this epoch always.

    Attributes
    ----------
    link : Link
        Counts what the exchanges of training were.
    rows : tuple of int
        Rows of the input and of each layer that a training pass computes.
    """

    graph: OrderedGraph

    def __init__(
        self, graph: OrderedGraph, network: Network, device: Device, communicator: Communicator,
        scheme: Scheme, *, seed: int = 0, sampled: bool = True, serial: bool = False,
        pipeline: Pipeline = SYNCHRONOUS,
    ) -> None:  # fmt: skip
        check_sparse(device.config)
        super().__init__(network, device, communicator)
        self.graph = graph
        check_sums(network, graph.adjacency, graph.features, device.config)
        self._worker = Worker(device, seed=seed, serial=serial)
        self.link = Link(
            worker=self._worker, communicator=communicator, pipeline=pipeline,
            unit=lcm(*communicator.table("start", device.config.vector.items_per_word).tolist()),
        )  # fmt: skip
        fresh = replace(
            self.link, pipeline=replace(pipeline, staleness=0), ages=Counter(), exchanges=[]
        )
        self._site = Site(network, graph, self.link, scheme)
        every = (len(graph.order),) * (network.layers + 1)
        rows = graph.seen if sampled else every
        self.rows = rows
        self._training = Forward(
            self._site, self.link, "forward", rows, graph.seen, ("activations", "logits")
        )
        self._backward = Backward(self._training, ("gradients", "weights"))
        self._inference = Forward(
            self._site, fresh, "infer", every, None, ("inference", "inference")
        )
        self._hidden_exponents: list[int] = []
        self._weight_exponents: list[int] = []
        self.necessary_macs = self._necessary(rows) | {"infer": self._necessary(every)["infer"]}
        self.unsampled_macs = self._necessary(every)

    def forward(self, weights: list[Array], *, step: int, training: bool) -> Array:
        """Logits, shape ``(nodes, classes)``; NaN but for the nodes that this worker owns."""
        name = "forward" if training else "infer"
        part = self._training if training else self._inference
        operands = weight_operands(
            self.network, weights, self.network.kept if training else 1.0, self._width
        )
        self._site.write_weights(operands, training=training)
        exponents = [exponent for _, exponent in operands]
        scales = self.scales[name]
        scales.begin()
        hidden = forward_exponents(
            scales, self.network, self.graph.features_exponent, self.graph.adjacency_exponent,
            exponents,
        )  # fmt: skip
        self._worker.begin()
        shifts = self._with_outside(scales.shifts) if training else scales.shifts
        found = self._exponents(name) | {"logits": hidden[-1]}
        sums = part.run(Moment(step=step, shifts=shifts, exponents=found))
        self._count(name, self._worker)
        self.seconds = self._worker.seconds
        if training:
            self._hidden_exponents, self._weight_exponents = hidden, exponents
        logits = np.full((len(self.graph.order), self.network.widths[-1]), np.nan)
        own = self.graph.order[self._site.own(part.rows[-1])]
        logits[own] = np.ldexp(sums.astype(np.float64), hidden[-1])
        return logits

    def backward(self, gradient: Array, *, step: int) -> list[Array]:
        """Gradients of all weights from the gradient of this worker's logits."""
        rows = self._training.rows
        own = gradient[self.graph.order[self._site.own(rows[-1])]]
        exponent = self._common_exponent(own)
        scales = self.scales["backward"]
        scales.begin()
        spread = backward_exponents(
            scales, self.network, exponent, self.graph.adjacency_exponent, self._weight_exponents
        )
        self._worker.begin()
        mantissas = quantise(own, exponent, self._width)
        found = self._exponents("backward") | {f"gradient{self.network.layers}": exponent}
        moment = Moment(step=step, shifts=scales.shifts, exponents=found)
        sums = self._backward.run(mantissas, moment)
        self._count("backward", self._worker)
        self.seconds = self._worker.seconds
        gradients = []
        for layer, whole in enumerate(sums, start=1):
            exponent = self._hidden_exponents[layer - 1] + spread[layer]
            real = np.ldexp(whole.astype(np.float64), exponent)
            gradients.append(real / (self.network.kept if layer > 1 else 1.0))
        return gradients

    def under_way(self, steps: range) -> bytes:
        """Return what came of the exchanges of these steps, for a later one to use."""
        return b"".join(exchange.under_way(steps) for exchange in self.link.exchanges)

    def resume(self, steps: range, data: bytes) -> None:
        """Take up what :meth:`under_way` returned."""
        stream = BytesIO(data)
        for exchange in self.link.exchanges:
            exchange.resume(steps, stream)

    def _exponents(self, name: str) -> dict[str, int]:
        """Exponents of what a pass requantises, by the tensor's name."""
        names, found = self.network.tensor_names(), self.scales[name].exponents()
        return {names[tensor]: exponent for tensor, exponent in found.items()}

    def _necessary(self, rows: tuple[int, ...]) -> dict[str, int]:
        return necessary_macs(self.network, self.graph.adjacency, self.graph.features, rows)
