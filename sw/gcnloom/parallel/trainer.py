# SPDX-License-Identifier: Apache-2.0
"""Full-batch training on several devices: the same steps on every worker, from shared integers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.errors import CheckpointError, ConfigError
from gcnloom.graphs.graph import Graph
from gcnloom.graphs.partition import node_parts
from gcnloom.layers import Network
from gcnloom.lower.graph import order_graph
from gcnloom.parallel.alike import require_alike
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.engine import ParallelEngine
from gcnloom.parallel.mixture import MixtureOfParallelism
from gcnloom.parallel.partition import NodePartition
from gcnloom.parallel.pipeline import SYNCHRONOUS, Pipeline
from gcnloom.parallel.scheme import Scheme
from gcnloom.training.checkpoint import Checkpoint
from gcnloom.training.epoch import Epoch
from gcnloom.training.loss import Judge
from gcnloom.training.options import Options
from gcnloom.training.passes import Passes
from gcnloom.training.trainer import FullBatch

__all__ = ["MODES", "Effort", "ParallelTrainer", "SharedJudge", "check_mode"]

MODES = ("mop", "partition")
KEEP_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What an epoch took of one worker.

    Attributes
    ----------
    sent : Counter[str]
        Bytes sent to other workers, by class of message.
    runs : Counter[str]
        How often each pass ran.
    hidden : Counter[str]
        Of the bytes sent, those that travelled while the device multiplied.
    """

    sent: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)


class ParallelTrainer(FullBatch):
    """Train a GCN, each worker its part of every product; all come to the same weights.

    Each worker makes one, with its own device, and calls the same methods. Weights are the same
    bits as with any other number of workers, or with a single device and ``update="host"``.

    Parameters
    ----------
    graph : Graph
        The same on every worker.
    options : Options
        Likewise; with ``update="host"``.
    device : Device
        Its memory is cleared. Operand and sum width are the same on every worker.
    communicator : Communicator
    mode : {"mop", "partition"}
        Mixture of parallelism, or METIS partition with exchange of halos.
    pipeline : Pipeline
        How exchanges go beside products. With staleness the weights depend on the workers, too,
        and are all the same on each.
    keep_every : int
        With staleness, epochs after which the first worker gathers what a checkpoint needs, as it
        does at the end; :meth:`checkpoint` is of the last of these.

    Attributes
    ----------
    engine : ParallelEngine
    communicator : Communicator
    mode : str
    pipeline : Pipeline
    last : Effort
        What the last epoch took of this worker.

    Raises
    ------
    ConfigError
        An option cannot be had in parallel, there are more workers than nodes, or workers
        differ.
    """

    engine: ParallelEngine

    def __init__(
        self, graph: Graph, options: Options, device: Device, communicator: Communicator,
        *, mode: str, pipeline: Pipeline = SYNCHRONOUS, keep_every: int = KEEP_EVERY,
    ) -> None:  # fmt: skip
        check_mode(mode, options, graph, communicator.size)
        self.mode, self.communicator, self._device = mode, communicator, device
        self.pipeline, self._keep_every = pipeline, keep_every
        require_alike(communicator, graph, options, device, mode=mode, pipeline=asdict(pipeline))
        judge = SharedJudge(graph.labels, communicator)
        super().__init__(graph, options, self._passes, judge)
        self.last = Effort()

    def _epoch(self, step: int) -> Epoch:
        sent, runs = Counter(self.communicator.sent), Counter(self.engine.runs)
        hidden = Counter(self.engine.link.hidden)
        epoch = super()._epoch(step)
        self.last = Effort(
            sent=self.communicator.sent - sent, runs=self.engine.runs - runs,
            hidden=self.engine.link.hidden - hidden,
        )  # fmt: skip
        return epoch

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where another training was; all workers call it together.

        With staleness it had as many workers in the same mode, and rows under way are taken up.
        """
        self._require_same(checkpoint.meta)
        if self.pipeline.staleness:
            name = f"pipe{self.communicator.rank}"
            if name not in checkpoint.arrays:
                raise CheckpointError(
                    f"the checkpoint has nothing of worker {self.communicator.rank}'s; "
                    "try the one that the first worker wrote"
                )
            steps = self._under_way(len(checkpoint.meta["history"]))
            self.engine.resume(steps, checkpoint.arrays[name].tobytes())
        super().restore(checkpoint)
        self._state = self._gathered()

    def _under_way(self, done: int) -> range:
        """Epochs of which the next one may use rows, after so many."""
        return range(max(0, done - self.pipeline.staleness), done)

    def _snapshot(self) -> Checkpoint:
        done = len(self.history)
        over = done == self.options.epochs or self.stopped_early
        if self.pipeline.staleness and done % self._keep_every and not over:
            return self._state
        return self._gathered()

    def _gathered(self) -> Checkpoint:
        """State of all workers, on the first one."""
        state, identity = super()._snapshot(), self._identity()
        if not identity:
            return state
        mine = np.frombuffer(
            self.engine.under_way(self._under_way(len(self.history))), dtype=np.uint8
        )
        leads = self.communicator.rank == 0
        sizes = self.communicator.table("checkpoint", mine.size).tolist()
        pieces = [mine, *[mine[:0]] * (self.communicator.size - 1)]
        pipes = self.communicator.all_to_all(
            "checkpoint", pieces, [(size * leads,) for size in sizes]
        )
        arrays = {f"pipe{rank}": pipe for rank, pipe in enumerate(pipes) if leads}
        return Checkpoint(arrays=state.arrays | arrays, meta=state.meta | identity)

    def _identity(self) -> dict[str, Any]:
        """Return what rows under way depend on; nothing without staleness."""
        if not self.pipeline.staleness:
            return {}
        shares = {"parallel": self.mode, "workers": self.communicator.size}
        return {"pipeline": shares | asdict(self.pipeline)}

    def _require_same(self, meta: Mapping[str, Any]) -> None:
        if self.pipeline.staleness and meta.get("pipeline") != self._identity()["pipeline"]:
            raise CheckpointError(
                f"the checkpoint was trained with {meta.get('pipeline', 'no staleness')} and not "
                f"{self._identity()['pipeline']}; try to resume with the same"
            )
        super()._require_same({name: meta[name] for name in meta if name not in self._identity()})

    def _passes(self, network: Network) -> Passes:
        graph, options, size = self.graph, self.options, self.communicator.size
        ordered = order_graph(graph, network, self._device.config)
        scheme: Scheme = MixtureOfParallelism(size)
        if self.mode == "partition":
            scheme = NodePartition(node_parts(graph.adjacency, size)[ordered.order], size)
        return ParallelEngine(
            ordered, network, self._device, self.communicator, scheme, seed=options.seed,
            sampled=options.sampled, serial=options.serial, pipeline=self.pipeline,
        )  # fmt: skip


class SharedJudge(Judge):
    """Loss and accuracy of nodes whose logits are spread over the workers."""

    def __init__(self, labels: NDArray[np.int64], communicator: Communicator) -> None:
        super().__init__(labels)
        self._communicator = communicator

    def known(self, logits: NDArray[np.float64], nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those whose logits this worker has: others are NaN."""
        known: NDArray[np.int64] = nodes[~np.isnan(logits[nodes, 0])]
        return known

    def total(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum of the counts of all workers."""
        total: NDArray[np.int64] = self._communicator.all_reduce("statistics", counts, "sum")
        return total


def check_mode(mode: str, options: Options, graph: Graph, workers: int) -> None:
    """Raise ConfigError about what cannot be trained so in parallel."""
    if mode not in MODES:
        raise ConfigError(f"parallel={mode!r} is unknown; try {' or '.join(MODES)}")
    options.require_host(mode)
    options.require_gcn(mode)
    if not 1 <= workers <= graph.nodes:
        raise ConfigError(
            f"workers={workers} is outside 1..{graph.nodes}, the number of nodes of "
            f"{graph.name!r}; try {min(2, graph.nodes)}"
        )
    if mode == "partition" and workers > 1 and options.rounding == "stochastic":
        raise ConfigError(
            "rounding='stochastic' draws by node, and a partition's nodes are not next to each "
            "other; try rounding='nearest', or parallel='mop'"
        )
