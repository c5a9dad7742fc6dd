# SPDX-License-Identifier: Apache-2.0
"""A network on sampled batches, one worker's part: sample, fetch, run both passes, share."""

import time
from collections import Counter
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.device import Device
from gcnloom.graphs.graph import Graph, gcn_norm
from gcnloom.graphs.receptive import ReceptiveField
from gcnloom.layers import Network
from gcnloom.lower.engines import check_sparse
from gcnloom.lower.graph import OrderedGraph
from gcnloom.lower.work import necessary_macs
from gcnloom.parallel.communicator import Alone, Communicator
from gcnloom.parallel.scheme import wire_type
from gcnloom.parallel.shared import SharedPasses
from gcnloom.sampling.ahead import Ahead
from gcnloom.sampling.batch import Batch, BatchMaker
from gcnloom.sampling.cache import FeatureCache
from gcnloom.sampling.options import Sampling
from gcnloom.tensors.quantised import quantised
from gcnloom.training.engine import Engine
from gcnloom.training.scaling import backward_exponents, forward_exponents
from gcnloom.training.weights import weight_operands
from gcnloom_spec.number import quantise

__all__ = ["SampledEngine"]

Array = NDArray[np.float64]
Vertices = NDArray[np.int64]


class SampledEngine(SharedPasses):
    """Passes of one batch after the other, each on a block of its own.

    Inference is of the whole graph, by the first worker; a device without room for it streams.

    Parameters
    ----------
    graph : Graph
    network : Network
    device : Device
        Cleared for each batch.
    communicator : Communicator
    sampling : Sampling
    seed : int
        Of every draw.
    serial : bool
        Whether the device's units take turns, for comparison.
    cooperative : bool
        Whether all workers share one batch, and do not each have their own.

    Attributes
    ----------
    batches : Batches
    batch : Batch
        The one under way.
    features : dict[str, int]
        Rows and bytes of features, of all batches so far.
    making, waited : float
        Seconds of a processor that making batches took, and that the device waited for one.
    peak_words : int
        Words of device memory in use at most while training.
    expected : Counter[str]
        Bytes that this worker should have sent for its blocks, by class of message.
    """

    graph: OrderedGraph
    batch: Batch

    def __init__(
        self, graph: Graph, network: Network, device: Device, communicator: Communicator,
        sampling: Sampling, *, seed: int, serial: bool, cooperative: bool,
    ) -> None:  # fmt: skip
        check_sparse(device.config)
        super().__init__(network, device, communicator)
        self._whole, self._seed, self._serial = graph, seed, serial
        sampler, self.batches = sampling.make(
            graph, rank=communicator.rank, workers=communicator.size, cooperative=cooperative,
            seed=seed,
        )  # fmt: skip
        self.graph = _as_integers(graph, network, device)
        cache = FeatureCache(self.graph.features, self._width, sampling.cache)
        self._maker = BatchMaker(
            network=network, device=device, sampler=sampler, batches=self.batches, cache=cache,
            communicator=communicator.channel() if sampling.ahead else communicator,
            shared=communicator if cooperative else Alone(), seed=seed, serial=serial,
        )  # fmt: skip
        self._looks_ahead = sampling.ahead
        self._ahead: Ahead[Batch] | None = None
        self.features, self.making, self.waited = cache.totals, 0.0, 0.0
        every = (graph.nodes,) * (network.layers + 1)
        self.unsampled_macs = necessary_macs(
            network, self.graph.adjacency, self.graph.features, every
        )
        self.peak_words = 0
        self._work = {"forward": 0, "backward": 0}
        self.expected: Counter[str] = Counter()

    @property
    def necessary_macs(self) -> dict[str, int]:  # type: ignore[override]
        """Multiplications of a mean pass, by pass, of all workers as :meth:`totals` found them."""
        mean = {name: macs // max(1, self.runs[name]) for name, macs in self._work.items()}
        return mean | {"infer": self.unsampled_macs["infer"]}

    def totals(self) -> dict[str, Counter[str]]:
        """Counters by pass: sums of all devices, of cycles the largest."""
        mine = np.array([self.macs[name].total() for name in self._work], dtype=np.int64)
        every = self.communicator.all_reduce("end", mine, "sum")
        self._work = dict(zip(self._work, every.tolist(), strict=True))
        return super().totals()

    def begin(self, iteration: int, following: int | None = None) -> None:
        """Place the batch of an iteration on the device; begin to make the following one."""
        begin = time.perf_counter()
        self.batch = self._made(iteration)
        self.waited += time.perf_counter() - begin
        self.making += self.batch.seconds
        self.features = self.batch.fetched
        if self._maker.communicator is not self.communicator:
            self.communicator.sent.update(self.batch.sent)
            self.communicator.messages.update(self.batch.messages)
        self.expected["ids"] += self.batch.planned["ids"]
        self.batch.worker.settle()
        if self._looks_ahead and following is not None:
            self._ahead = Ahead(partial(self._maker.make, following))

    def forward(self, weights: list[Array], *, step: int, training: bool) -> Array:
        """Logits, by training those of the batch: NaN but for those that this worker has."""
        if not training:
            return self.logits(weights)
        batch = self.batch
        operands = weight_operands(self.network, weights, self.network.kept, self._width)
        batch.passes.write_weights(operands)
        self._weight_exponents = [exponent for _, exponent in operands]
        scales = self.scales["forward"]
        scales.begin()
        self._hidden_exponents = forward_exponents(
            scales, self.network, self.graph.features_exponent, batch.exponent,
            self._weight_exponents,
        )  # fmt: skip
        batch.worker.begin()
        sums = batch.passes.forward(scales.shifts, step)
        self._finish("forward")
        logits = np.full((len(batch.nodes), self.network.widths[-1]), np.nan)
        real = np.ldexp(sums.astype(np.float64), self._hidden_exponents[-1])
        logits[batch.mine] = real[batch.rows]
        return logits

    def backward(self, gradient: Array, *, step: int) -> list[Array]:
        """Gradients of all weights, of all workers, from that of the logits of its nodes."""
        batch = self.batch
        own = np.zeros((len(batch.block.seeds), self.network.widths[-1]))
        np.add.at(own, batch.rows, gradient[batch.mine])
        exponent = self._common_exponent(own)
        scales = self.scales["backward"]
        scales.begin()
        spread = backward_exponents(
            scales, self.network, exponent, batch.exponent, self._weight_exponents
        )
        batch.worker.begin()
        mantissas = quantise(own, exponent, self._width)
        parts = batch.passes.backward(mantissas, scales.shifts, step)
        self._finish("backward")
        kind = wire_type(self.device.config.sum_width)
        gradients = []
        for layer, part in enumerate(parts, start=1):
            whole = self.communicator.all_reduce("weights", part.astype(kind), "sum")
            exponent = self._hidden_exponents[layer - 1] + spread[layer]
            real = np.ldexp(whole.astype(np.float64), exponent)
            gradients.append(real / (self.network.kept if layer > 1 else 1.0))
        return gradients

    def logits(self, weights: list[Array]) -> Array:
        """Logits of every node of the graph, without dropout; NaN but for the first worker."""
        if self.communicator.rank:
            return np.full((self._whole.nodes, self.network.widths[-1]), np.nan)
        engine = Engine(
            self._whole, self.network, self.device, seed=self._seed, sampled=False,
            serial=self._serial,
        )  # fmt: skip
        logits = engine.logits(weights)
        self.counters["infer"].update(engine.counters["infer"])
        self.runs["infer"] += engine.runs["infer"]
        self.seconds += engine.seconds
        return logits

    def _made(self, iteration: int) -> Batch:
        """Return the batch of an iteration, the one made ahead if it is that."""
        ahead, self._ahead = self._ahead, None
        batch = ahead.result() if ahead is not None else None
        if batch is None or batch.iteration != iteration:
            batch = self._maker.make(iteration)
        return batch

    def _finish(self, name: str) -> None:
        worker = self.batch.worker
        self._count(name, worker)
        kind = "activations" if name == "forward" else "gradients"
        self.expected[kind] += self.batch.planned[kind]
        self.seconds += worker.seconds
        worker.seconds = 0.0
        self.peak_words = max(self.peak_words, self.device.memory.used)


def _as_integers(graph: Graph, network: Network, device: Device) -> OrderedGraph:
    """Quantise a graph, its nodes in their own order."""
    adjacency, adjacency_exponent = quantised("adjacency", gcn_norm(graph.adjacency), device.config)
    features, exponent = quantised("features", graph.features, device.config)
    return OrderedGraph(
        adjacency=adjacency, features=csr_array(features) if issparse(features) else features,
        order=np.arange(graph.nodes),
        seen=ReceptiveField.of(adjacency, graph.train, network.layers).rows,
        adjacency_exponent=adjacency_exponent, features_exponent=exponent,
        lost_edges=int(adjacency.nnz - adjacency.count_nonzero()),
    )  # fmt: skip
