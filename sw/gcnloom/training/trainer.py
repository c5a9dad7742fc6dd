# SPDX-License-Identifier: Apache-2.0
"""Full-batch training: every product on the device, loss and optimiser on the host."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.errors import CheckpointError, DataError, TrainingError
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.training.checkpoint import Checkpoint, require_ordinary
from gcnloom.training.engine import Engine
from gcnloom.training.epoch import Epoch
from gcnloom.training.loss import Judge
from gcnloom.training.options import Options
from gcnloom.training.passes import MOST_REPEATS, PASSES, Passes
from gcnloom.training.weights import first_weights, require_shapes

__all__ = ["FullBatch", "Trainer", "graph_digest"]

Array = NDArray[np.float64]
MAY_CHANGE = ("epochs", "patience", "sampled", "serial", "mixture")
"""Options that a resumed training may have otherwise."""


class FullBatch:
    """Train a network, loss and optimiser on the host.

    The weights kept at the end are those with the best validation accuracy, the smaller
    validation loss deciding ties; without validation nodes, the last.

    Parameters
    ----------
    graph : Graph
    options : Options
    passes : callable
        Makes what multiplies, for a network.
    judge : Judge
        Knows loss and accuracy of what the passes return.

    Attributes
    ----------
    engine : Passes
    weights : list of NDArray[np.float64]
        After the last epoch.
    best : list of NDArray[np.float64]
        Weights kept.
    history : list of Epoch
    clipped : dict[str, int]
        Weights and momenta that did not fit, by layer, where the device updates them.
    """

    engine: Passes

    def __init__(
        self, graph: Graph, options: Options, passes: Callable[[Network], Passes], judge: Judge
    ) -> None:
        if not len(graph.train):
            raise DataError(f"{graph.name} has no training nodes; try a split with some")
        if options.patience and not len(graph.val):
            raise DataError(
                f"{graph.name} has no validation nodes for patience={options.patience} to watch; "
                "try patience 0"
            )
        self.graph, self.options, self.judge = graph, options, judge
        network = options.network(graph.features.shape[1], graph.classes)
        self.engine = passes(network)
        self.optimiser = options.make_optimiser()
        self.weights = first_weights(network, options.seed)
        self.best = self.weights
        self.history: list[Epoch] = []
        self.clipped: dict[str, int] = {}
        self._best_rank: tuple[float, float] | None = None
        self._graph_digest = graph_digest(graph)
        self._state = self._snapshot()

    @property
    def operand_width(self) -> int:
        """Bits of an operand on the device."""
        return self.engine.device.config.operand_width

    @property
    def stopped_early(self) -> bool:
        """Whether the validation loss has not fallen for `patience` epochs."""
        losses = [epoch.val_loss for epoch in self.history if epoch.val_loss is not None]
        patience = self.options.patience
        return 0 < patience < len(losses) and min(losses[-patience:]) >= min(losses[:-patience])

    def start_from(self, weights: list[Array]) -> None:
        """Begin with these weights instead of random ones; before :meth:`run`."""
        require_shapes(weights, self.engine.network)
        self.weights = self.best = [array.astype(np.float64) for array in weights]
        self._state = self._snapshot()

    def run(self, progress: Callable[[Epoch], None] = lambda _: None) -> None:
        """Train to the last epoch or until stopped early; `progress` sees every epoch.

        An interruption loses the epoch under way only: :meth:`checkpoint` still holds the state
        after the one before.
        """
        # Numbers that overflow are found, and told of, where they are used next.
        with np.errstate(over="ignore", invalid="ignore"):
            while len(self.history) < self.options.epochs and not self.stopped_early:
                epoch = self._epoch(len(self.history))
                self._state = self._snapshot()
                progress(epoch)
            logits = self.engine.logits(self.weights)
        known = self.judge.known(logits, np.arange(self.graph.nodes))
        self._require_finite(len(self.history), "logits", [logits[known]])
        self._consider(logits)

    def checkpoint(self) -> Checkpoint:
        """State after the last whole epoch, and the weights kept so far."""
        kept = {f"model{i}": array for i, array in enumerate(self.best)}
        meta = self._state.meta
        history = [asdict(epoch) for epoch in meta["history"]]
        return Checkpoint(arrays=self._state.arrays | kept, meta=meta | {"history": history})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where another trainer of the same graph and options was.

        Executor and sizes of the accelerator may differ: the bits do not depend on them as long
        as all nodes fit on chip. Larger graphs are tiled, which orders their nodes for the sizes.
        """
        meta = checkpoint.meta
        self._require_same(meta)
        self.weights, self.best = checkpoint.group("weights"), checkpoint.group("best")
        self.optimiser.restore(checkpoint.prefixed("optimiser."))
        self.history = [Epoch(**entry) for entry in meta["history"]]
        self._best_rank = tuple(meta["best_rank"]) if meta["best_rank"] else None
        for name in PASSES:
            self.engine.scales[name].restore(self.engine.network, meta["scales"][name])
        self._state = self._snapshot()

    def _epoch(self, step: int) -> Epoch:
        engine, graph = self.engine, self.graph
        before = self._cycles()
        for _ in range(1 if step else MOST_REPEATS):
            logits = engine.forward(self.weights, step=step, training=True)
            known = self.judge.known(logits, graph.train)
            self._require_finite(step + 1, "logits", [logits[known]])
            loss, gradient = self.judge.cross_entropy(logits, graph.train)
            gradients = engine.backward(gradient, step=step)
            if engine.settled("forward") and engine.settled("backward"):
                break
        cycles = self._cycles() - before
        saturations = engine.clipped["forward"] + engine.clipped["backward"]
        if len(graph.val):
            # Not the logits of training, even without dropout: its shifts need not fit nodes
            # that the loss does not see.
            logits = engine.logits(self.weights)
        val, val_loss = self._consider(logits)
        weights = self.optimiser.step(self.weights, gradients)
        self._require_finite(step + 1, "weights", [*weights, *self.optimiser.state().values()])
        epoch = Epoch(
            epoch=step + 1, loss=loss, train=self.judge.accuracy(logits, graph.train),
            val=val, val_loss=val_loss, cycles=cycles, saturations=saturations,
        )  # fmt: skip
        self.weights = weights
        if not len(graph.val):
            self.best = weights
        self.history.append(epoch)
        return epoch

    def _consider(self, logits: Array) -> tuple[float | None, float | None]:
        """Keep the weights if they are the best so far; return validation accuracy and loss."""
        graph = self.graph
        val = self.judge.accuracy(logits, graph.val)
        if val is None:
            return None, None
        loss, _ = self.judge.cross_entropy(logits, graph.val)
        if self._best_rank is None or (val, -loss) > self._best_rank:
            self._best_rank, self.best = (val, -loss), self.weights
        return val, loss

    def _require_finite(self, epoch: int, what: str, arrays: list[Array]) -> None:
        if not all(np.isfinite(array).all() for array in arrays):
            raise TrainingError(
                f"{what} are no longer finite in epoch {epoch}; "
                f"try a smaller lr than {self.options.lr}"
            )

    def _cycles(self) -> int:
        return sum(self.engine.counters[name]["cycles"] for name in ("forward", "backward"))

    def _snapshot(self) -> Checkpoint:
        arrays = {f"weights{i}": array for i, array in enumerate(self.weights)}
        arrays |= {f"best{i}": array for i, array in enumerate(self.best)}
        arrays |= {f"optimiser.{name}": array for name, array in self.optimiser.state().items()}
        network = self.engine.network
        return Checkpoint(
            arrays=arrays,
            meta={
                "graph": self._graph_digest,
                "data": self.graph.name,
                "widths": list(network.widths),
                "operand_width": self.engine.device.config.operand_width,
                "options": self.options.as_dict(),
                "history": tuple(self.history),
                "best_rank": self._best_rank,
                "scales": {name: self.engine.scales[name].state(network) for name in PASSES},
            },
        )

    def _require_same(self, meta: Mapping[str, Any]) -> None:
        require_ordinary(meta)
        if len(meta["history"]) > self.options.epochs:
            raise CheckpointError(
                f"the checkpoint has {len(meta['history'])} epochs already, more than "
                f"{self.options.epochs}; try more epochs or another checkpoint"
            )
        if meta["graph"] != self._graph_digest:
            raise CheckpointError(
                f"the checkpoint is of graph {meta['data']!r} ({meta['graph']}), this is "
                f"{self.graph.name!r} ({self._graph_digest}); try the data it was trained on"
            )
        width = self.engine.device.config.operand_width
        if meta["operand_width"] != width:
            raise CheckpointError(
                f"the checkpoint was trained with operands of {meta['operand_width']} bits, this "
                f"device has {width}; try a configuration with operand_width = "
                f"{meta['operand_width']}"
            )
        differing = self.options.differences(meta["options"], ignore=MAY_CHANGE)
        if differing:
            raise CheckpointError(
                f"the checkpoint was trained with {', '.join(differing)}; "
                "try to resume with the same options"
            )


class Trainer(FullBatch):
    """Train a network, every product on a device, loss and optimiser on the host.

    Parameters
    ----------
    graph : Graph
    options : Options
    device : Device
        Its memory is cleared.

    Attributes
    ----------
    engine : Engine
    """

    engine: Engine

    def __init__(self, graph: Graph, options: Options, device: Device) -> None:
        def passes(network: Network) -> Passes:
            return Engine(
                graph, network, device, seed=options.seed, sampled=options.sampled,
                serial=options.serial, mixture=options.mixture,
                descends=options.update == "device",
            )  # fmt: skip

        super().__init__(graph, options, passes, Judge(graph.labels))

    def restart(self, weights: list[Array], *, seed: int, epochs: int) -> None:
        """Begin another training of the same network, as if it were the first on the device.

        Programs and the graph stay on the device; counters go on.

        Parameters
        ----------
        weights : list of NDArray[np.float64]
            To begin with, by layer.
        seed : int
            Of every random draw from now on.
        epochs : int
            At most as many as those of the options that the trainer was made with.
        """
        self.options = replace(self.options, seed=seed, epochs=epochs)
        self.optimiser = self.options.make_optimiser()
        self.history, self._best_rank = [], None
        self.engine.restart(seed)
        self.start_from(weights)


def graph_digest(graph: Graph) -> str:
    """Sixteen digits that name a graph with its features, labels and splits."""
    state = hashlib.sha256()
    parts = [graph.labels, graph.train, graph.val]
    for matrix in (graph.adjacency, graph.features):
        sparse = not isinstance(matrix, np.ndarray)
        parts += [matrix.data, matrix.indices, matrix.indptr] if sparse else [matrix]
    for part in parts:
        state.update(f"{part.dtype.kind} {part.shape} ".encode())
        kind = np.float64 if part.dtype.kind == "f" else np.int64
        state.update(np.ascontiguousarray(part, dtype=kind).tobytes())
    return state.hexdigest()[:16]
