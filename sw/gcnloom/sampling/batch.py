# SPDX-License-Identifier: Apache-2.0
"""A batch made ready for one worker's device: sampled, fetched, scheduled and lowered."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.device import Device
from gcnloom.errors import ConfigError
from gcnloom.layers import Network
from gcnloom.lower.work import row_sum_bits
from gcnloom.parallel.communicator import Alone, Communicator
from gcnloom.parallel.draft import Draft
from gcnloom.parallel.scheme import wire_type
from gcnloom.parallel.shared import common_exponent
from gcnloom.parallel.worker import Worker
from gcnloom.sampling.block import Block, block_bytes, sample_block
from gcnloom.sampling.cache import FeatureCache
from gcnloom.sampling.draws import owners
from gcnloom.sampling.layers import BlockPasses
from gcnloom.sampling.samplers import Batches, Sampler
from gcnloom_spec.number import quantise

__all__ = ["Batch", "BatchMaker", "nodes_of"]

Vertices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One worker's part of a batch.

    Attributes
    ----------
    iteration : int
    nodes : NDArray[np.int64]
        Training nodes, of all workers.
    mine : NDArray[np.int64]
        Places in `nodes` of those that this worker has.
    block : Block
    exponent : int
        Of the weights of all edges.
    worker : Worker
        Holds a draft of what is to lie on the device.
    passes : BlockPasses
    planned : Counter[str]
        Bytes that a pass over the block should send, by class of message.
    sent, messages : Counter[str]
        Bytes that making it sent, and in how many messages, by class.
    fetched : dict[str, int]
        Totals of the cache, this batch included.
    seconds : float
        Of a processor, that making it took.
    """

    iteration: int
    nodes: Vertices
    mine: Vertices
    block: Block
    exponent: int
    worker: Worker
    passes: BlockPasses
    planned: Counter[str]
    sent: Counter[str]
    messages: Counter[str]
    fetched: dict[str, int]
    seconds: float

    @property
    def rows(self) -> Vertices:
        """Row of the block of each of this worker's nodes, which may repeat."""
        return np.searchsorted(self.block.seeds, self.nodes[self.mine])


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchMaker:
    """Makes batches without touching the device, one at a time and in the order of iterations.

    Parameters
    ----------
    network : Network
    device : Device
        Only its sizes are looked at.
    communicator : Communicator
        Of all workers, who make the batch of an iteration together.
    shared : Communicator
        Of those who share a batch, for its passes: all workers, or this one alone.
    sampler : Sampler
    batches : Batches
    cache : FeatureCache
    seed : int
        Of every draw.
    serial : bool
        Whether the device's units take turns.
    """

    network: Network
    device: Device
    communicator: Communicator
    shared: Communicator
    sampler: Sampler
    batches: Batches
    cache: FeatureCache
    seed: int
    serial: bool

    def make(self, iteration: int) -> Batch:
        """Sample the batch of an iteration, fetch its features, schedule and lower its passes."""
        begin = time.thread_time()
        sent, messages = Counter(self.communicator.sent), Counter(self.communicator.messages)
        cooperative = self.shared.size == self.communicator.size
        nodes, mine = nodes_of(
            self.batches, iteration, self.communicator, self.seed, cooperative=cooperative
        )
        asked = self.communicator if cooperative else Alone()
        block = sample_block(
            self.sampler, nodes[mine], self.network.layers, iteration, asked, self.seed
        )
        width = self.device.config.operand_width
        weights = [share.weights for share in block.layers]
        exponent = common_exponent(
            self.communicator, np.concatenate([each.data for each in weights]), width
        )
        adjacency = [
            csr_array((quantise(each.data, exponent, width), each.indices, each.indptr), each.shape)
            for each in weights
        ]
        features = self.cache.fetch(block.inputs)
        self._check_sums(len(nodes), block, adjacency, features)
        worker = Worker(self.device, seed=self.seed, serial=self.serial, draft=Draft(self.device))
        passes = BlockPasses(self.network, worker, self.shared, block, adjacency, features)
        return Batch(
            iteration=iteration, nodes=nodes, mine=mine, block=block, exponent=exponent,
            worker=worker, passes=passes, planned=self._planned(block),
            sent=self.communicator.sent - sent, fetched=self.cache.totals,
            messages=self.communicator.messages - messages,
            seconds=time.thread_time() - begin,
        )  # fmt: skip

    def _planned(self, block: Block) -> Counter[str]:
        config = self.device.config
        return block_bytes(
            block, self.network.widths, self.shared.rank,
            operand=wire_type(config.operand_width).itemsize,
            sums=wire_type(config.sum_width).itemsize,
        )  # fmt: skip

    def _check_sums(
        self, nodes: int, block: Block, adjacency: list[csr_array], features: Any
    ) -> None:
        """Raise ConfigError if any sum of any pass could wrap; a bound over all workers."""
        config = self.device.config
        width = config.operand_width
        most = max(len(share.own) for share in block.layers) << (width - 1)
        matrices = [*adjacency, *(each.T for each in adjacency), features, features.T]
        masses = [int(abs(each).sum(axis=1).max()) for each in matrices if min(each.shape)]
        masses += [most, max(self.network.widths[1:]) << (width - 1)]
        mine = np.array([max(masses)], dtype=np.int64)
        total = self.communicator.all_reduce("statistics", mine, "sum")
        bits = row_sum_bits(total[None, :], width)
        if bits > config.sum_width:
            raise ConfigError(
                f"sums over a batch of {nodes} training nodes could need {bits} bits and "
                f"sum_width is {config.sum_width}; try a smaller batch or fanout, or a "
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
