# SPDX-License-Identifier: Apache-2.0
"""A network on sampled batches, one worker's part: sample, fetch, run both passes, share."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.device import Device
from gcnloom.errors import ConfigError
from gcnloom.graphs.graph import Graph, gcn_norm
from gcnloom.graphs.receptive import ReceptiveField
from gcnloom.layers import Network
from gcnloom.lower.engines import check_sparse
from gcnloom.lower.graph import OrderedGraph
from gcnloom.lower.work import necessary_macs, row_sum_bits
from gcnloom.parallel.communicator import Alone, Communicator
from gcnloom.parallel.scheme import wire_type
from gcnloom.parallel.shared import SharedPasses
from gcnloom.parallel.worker import Worker
from gcnloom.sampling.block import Block, block_bytes, sample_block
from gcnloom.sampling.cache import FeatureCache
from gcnloom.sampling.draws import owners
from gcnloom.sampling.layers import BlockPasses
from gcnloom.sampling.options import Sampling
from gcnloom.sampling.samplers import Batches
from gcnloom.tensors.quantised import quantised
from gcnloom.training.engine import Engine
from gcnloom.training.scaling import backward_exponents, forward_exponents
from gcnloom.training.weights import weight_operands
from gcnloom_spec.number import quantise

__all__ = ["SampledEngine", "nodes_of"]

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
    sampler : Sampler
    batches : Batches
    cache : FeatureCache
    nodes : NDArray[np.int64]
        Training nodes of the batch under way, of all workers.
    block : Block
        Of the batch under way, this worker's share.
    peak_words : int
        Words of device memory in use at most while training.
    expected : Counter[str]
        Bytes that this worker should have sent for its blocks, by class of message.
    """

    graph: OrderedGraph
    block: Block

    def __init__(
        self, graph: Graph, network: Network, device: Device, communicator: Communicator,
        sampling: Sampling, *, seed: int, serial: bool, cooperative: bool,
    ) -> None:  # fmt: skip
        check_sparse(device.config)
        super().__init__(network, device, communicator)
        self._whole, self._seed, self._serial = graph, seed, serial
        self.sampler, self.batches = sampling.make(
            graph, rank=communicator.rank, workers=communicator.size, cooperative=cooperative,
            seed=seed,
        )  # fmt: skip
        self.graph = _as_integers(graph, network, device)
        self.cache = FeatureCache(self.graph.features, self._width, sampling.cache)
        self._group = communicator if cooperative else Alone()
        self._cooperative = cooperative
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

    def begin(self, iteration: int) -> None:
        """Sample the batch of an iteration, fetch its features and place it on the device."""
        self.nodes, self._mine = nodes_of(
            self.batches, iteration, self.communicator, self._seed, cooperative=self._cooperative
        )
        self.block = sample_block(
            self.sampler, self.nodes[self._mine], self.network.layers, iteration, self._group,
            self._seed,
        )  # fmt: skip
        weights = [share.weights for share in self.block.layers]
        self._exponent = self._common_exponent(np.concatenate([each.data for each in weights]))
        adjacency = [
            csr_array(
                (quantise(each.data, self._exponent, self._width), each.indices, each.indptr),
                shape=each.shape,
            )
            for each in weights
        ]
        self._planned = block_bytes(
            self.block, self.network.widths, self._group.rank,
            operand=wire_type(self._width).itemsize,
            sums=wire_type(self.device.config.sum_width).itemsize,
        )  # fmt: skip
        self.expected["ids"] += self._planned["ids"]
        features = self.cache.fetch(self.block.inputs)
        self._check_sums(adjacency, features)
        self._worker = Worker(self.device, seed=self._seed, serial=self._serial)
        self._passes = BlockPasses(
            self.network, self._worker, self._group, self.block, adjacency, features
        )

    def forward(self, weights: list[Array], *, step: int, training: bool) -> Array:
        """Logits, by training those of `nodes`: NaN but for those that this worker has."""
        if not training:
            return self.logits(weights)
        operands = weight_operands(self.network, weights, self.network.kept, self._width)
        self._passes.write_weights(operands)
        self._weight_exponents = [exponent for _, exponent in operands]
        scales = self.scales["forward"]
        scales.begin()
        self._hidden_exponents = forward_exponents(
            scales, self.network, self.graph.features_exponent, self._exponent,
            self._weight_exponents,
        )  # fmt: skip
        self._worker.begin()
        sums = self._passes.forward(scales.shifts, step)
        self._finish("forward")
        logits = np.full((len(self.nodes), self.network.widths[-1]), np.nan)
        real = np.ldexp(sums.astype(np.float64), self._hidden_exponents[-1])
        logits[self._mine] = real[self._rows]
        return logits

    def backward(self, gradient: Array, *, step: int) -> list[Array]:
        """Gradients of all weights, of all workers, from that of the logits of `nodes`."""
        own = np.zeros((len(self.block.seeds), self.network.widths[-1]))
        np.add.at(own, self._rows, gradient[self._mine])
        exponent = self._common_exponent(own)
        scales = self.scales["backward"]
        scales.begin()
        spread = backward_exponents(
            scales, self.network, exponent, self._exponent, self._weight_exponents
        )
        self._worker.begin()
        mantissas = quantise(own, exponent, self._width)
        parts = self._passes.backward(mantissas, scales.shifts, step)
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

    @property
    def _rows(self) -> Vertices:
        """Row of the block of each of this worker's nodes, which may repeat."""
        return np.searchsorted(self.block.seeds, self.nodes[self._mine])

    def _finish(self, name: str) -> None:
        self._count(name, self._worker)
        kind = "activations" if name == "forward" else "gradients"
        self.expected[kind] += self._planned[kind]
        self.seconds += self._worker.seconds
        self._worker.seconds = 0.0
        self.peak_words = max(self.peak_words, self.device.memory.used)

    def _check_sums(self, adjacency: list[csr_array], features: Any) -> None:
        """Raise ConfigError if any sum of any pass could wrap; a bound over all workers."""
        width = self._width
        most = max(len(share.own) for share in self.block.layers) << (width - 1)
        matrices = [*adjacency, *(each.T for each in adjacency), features, features.T]
        masses = [int(abs(each).sum(axis=1).max()) for each in matrices if min(each.shape)]
        masses += [most, max(self.network.widths[1:]) << (width - 1)]
        total = self._reduce(np.array([max(masses)], dtype=np.int64), "sum")
        bits = row_sum_bits(total[None, :], width)
        if bits > self.device.config.sum_width:
            raise ConfigError(
                f"sums over a batch of {len(self.nodes)} training nodes could need {bits} bits and "
                f"sum_width is {self.device.config.sum_width}; try a smaller batch or fanout, or a "
                f"configuration with sum_width = {bits}"
            )


def nodes_of(
    batches: Batches, iteration: int, communicator: Communicator, seed: int, *, cooperative: bool
) -> tuple[Vertices, Vertices]:
    """Return the training nodes of an iteration's batches, and the places of this worker's."""
    size, rank = communicator.size, communicator.rank
    parts = batches.parts(iteration, 1 if cooperative else size)
    nodes = np.concatenate(parts)
    if cooperative:
        return nodes, np.flatnonzero(owners(seed, nodes, size) == rank)
    start = sum(map(len, parts[:rank]))
    return nodes, np.arange(start, start + len(parts[rank]))


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
