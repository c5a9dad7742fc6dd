# SPDX-License-Identifier: Apache-2.0
"""Training on sampled batches: a step for each batch, on one device or on several."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gcnloom.device import Device
from gcnloom.errors import CheckpointError
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.parallel.alike import require_alike
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.trainer import Effort, SharedJudge
from gcnloom.sampling.engine import SampledEngine
from gcnloom.sampling.options import Sampling
from gcnloom.training.checkpoint import Checkpoint
from gcnloom.training.epoch import Epoch
from gcnloom.training.options import Options
from gcnloom.training.passes import MOST_REPEATS, Passes
from gcnloom.training.trainer import FullBatch

__all__ = ["MinibatchTrainer", "SampledEffort"]


@dataclass(frozen=True, kw_only=True)
class SampledEffort(Effort):
    """What an epoch took of one worker.

    Attributes
    ----------
    expected : Counter[str]
        Bytes by class of message that should have been sent for its blocks.
    """

    expected: Counter[str] = field(default_factory=Counter)


class MinibatchTrainer(FullBatch):
    """Train a GCN on sampled batches; each worker makes one, and calls the same methods.

    An epoch takes every training node once. Batches follow from seed and iteration alone, so that
    a resumed training comes to the same bits. Of the weights looked at, those with the best
    validation accuracy are kept.

    Parameters
    ----------
    graph : Graph
        The same on every worker.
    options : Options
        Likewise; with ``update="host"``.
    device : Device
        Its memory is cleared.
    communicator : Communicator
    mode : {"minibatch", "cooperative"}
        A batch for each worker, or one batch for all: that comes to the weights of one worker
        with a batch as large, bit for bit.
    sampling : Sampling
        The same on every worker.

    Attributes
    ----------
    engine : SampledEngine
    communicator : Communicator
    mode : str
    last : SampledEffort
        What the last epoch took of this worker.

    Raises
    ------
    ConfigError
        An option cannot be had on samples, or workers differ.
    """

    engine: SampledEngine

    def __init__(
        self, graph: Graph, options: Options, device: Device, communicator: Communicator,
        *, mode: str, sampling: Sampling,
    ) -> None:  # fmt: skip
        sampling.check(options, mode)
        self.mode, self.sampling, self.communicator = mode, sampling, communicator
        self._device, self.last = device, SampledEffort()
        require_alike(communicator, graph, options, device, mode=mode, sampling=sampling.as_dict())
        super().__init__(graph, options, self._passes, SharedJudge(graph.labels, communicator))

    @property
    def stopped_early(self) -> bool:
        """Whether the validation loss has not fallen for `patience` epochs."""
        if not self.options.patience:
            return False
        losses = [epoch.val_loss for epoch in self.history if epoch.val_loss is not None]
        looks = -(-self.options.patience // self.sampling.evaluate_every)
        return looks < len(losses) and min(losses[-looks:]) >= min(losses[:-looks])

    def iterate(self, iteration: int) -> tuple[float, float]:
        """Step on the batch of an iteration; return its training nodes' mean loss and accuracy."""
        engine, following = self.engine, iteration + 1
        last = self.options.epochs * engine.batches.per_epoch
        engine.begin(iteration, following if following < last else None)
        nodes = engine.batch.nodes
        judge = SharedJudge(self.graph.labels[nodes], self.communicator)
        nodes = np.arange(len(nodes))
        for _ in range(1 if iteration else MOST_REPEATS):
            logits = engine.forward(self.weights, step=iteration, training=True)
            own = judge.known(logits, nodes)
            self._require_finite(len(self.history) + 1, "logits", [logits[own]])
            loss, gradient = judge.cross_entropy(logits, nodes)
            gradients = engine.backward(gradient, step=iteration)
            if engine.settled("forward") and engine.settled("backward"):
                break
        weights = self.optimiser.step(self.weights, gradients)
        moments = self.optimiser.state().values()
        self._require_finite(len(self.history) + 1, "weights", [*weights, *moments])
        self.weights = weights
        return loss, judge.accuracy(logits, nodes) or 0.0

    def _passes(self, network: Network) -> Passes:
        return SampledEngine(
            self.graph, network, self._device, self.communicator, self.sampling,
            seed=self.options.seed, serial=self.options.serial,
            cooperative=self.mode == "cooperative",
        )  # fmt: skip

    def _epoch(self, step: int) -> Epoch:
        engine, every = self.engine, self.sampling.evaluate_every
        sent, runs = Counter(self.communicator.sent), Counter(engine.runs)
        expected = Counter(engine.expected)
        val = val_loss = None
        if every and step and step % every == 0 and len(self.graph.val):
            val, val_loss = self._consider(engine.logits(self.weights))
        before, saturations = self._cycles(), 0
        loss, right = 0.0, 0.0
        first = step * engine.batches.per_epoch
        for iteration in range(first, first + engine.batches.per_epoch):
            mean, correct = self.iterate(iteration)
            loss += mean * len(engine.batch.nodes)
            right += correct * len(engine.batch.nodes)
            saturations += engine.clipped["forward"] + engine.clipped["backward"]
        if not len(self.graph.val):
            self.best = self.weights
        total = len(self.graph.train)
        epoch = Epoch(
            epoch=step + 1, loss=loss / total, train=right / total, val=val, val_loss=val_loss,
            cycles=self._cycles() - before, saturations=saturations,
        )  # fmt: skip
        self.history.append(epoch)
        self.last = SampledEffort(
            sent=self.communicator.sent - sent, runs=engine.runs - runs,
            expected=engine.expected - expected,
        )  # fmt: skip
        return epoch

    def _snapshot(self) -> Checkpoint:
        basis = super()._snapshot()
        return Checkpoint(arrays=basis.arrays, meta=basis.meta | self._identity())

    def _identity(self) -> dict[str, Any]:
        """Return what the batches follow from: cooperating workers share one."""
        sampling, workers = self.sampling.as_dict(), self.communicator.size
        sampling["batch"] *= workers
        for name in ("cache", "ahead"):
            del sampling[name]
        shares = 1 if self.mode == "cooperative" else workers
        return {"mode": self.mode, "sampling": sampling, "batches": shares}

    def _require_same(self, meta: Mapping[str, Any]) -> None:
        super()._require_same(meta)
        for name, value in self._identity().items():
            if meta.get(name) != value:
                raise CheckpointError(
                    f"the checkpoint was trained with {name}={meta.get(name)!r} and not {value!r}; "
                    "try to resume with the same"
                )
