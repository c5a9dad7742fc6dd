# SPDX-License-Identifier: Apache-2.0
"""GIST: every worker trains a part of the network's neurons by itself, drawn anew each round.

Wolfe et al., "GIST: Distributed Training for Large-Scale Graph Convolutional Networks" (2021).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.errors import CheckpointError
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.alike import require_alike
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.local import LocalTraining, Trained
from gcnloom.parallel.parts import Parts
from gcnloom.parallel.rounds import GIST, LOCAL_ITERATIONS, Rounds, check_gist
from gcnloom.training.checkpoint import Checkpoint
from gcnloom.training.engine import Engine
from gcnloom.training.epoch import Epoch
from gcnloom.training.loss import Judge
from gcnloom.training.options import Options
from gcnloom.training.trainer import graph_digest
from gcnloom.training.weights import first_weights, require_shapes

__all__ = ["GistTrainer"]

Array = NDArray[np.float64]
ROUNDS = ("workers", "local_iterations")
MAY_CHANGE = ("sampled", "serial", "mixture")
"""Options that a resumed training may have otherwise."""


class GistTrainer:
    """Train a GCN as sub-networks that share no neuron, each on a worker's own device.

    The first worker holds all weights. A round draws groups of neurons, sends each worker the
    weights between its own, which it trains by itself, and puts them back to their places. The
    epochs are divided among the workers. Networks here have no biases, so that nothing is shared
    but for what the first and the last layer join to.

    Each worker makes one, with its own device, and calls the same methods.

    Parameters
    ----------
    graph : Graph
        The same on every worker.
    options : Options
        Likewise; the optimiser begins anew each round, early stopping is not for parts.
    device : Device
        Its memory is cleared.
    communicator : Communicator
    local_iterations : int
        Epochs of a round.
    evaluate_every : int
        Rounds between looks of the first worker's device at the validation nodes, with all of
        the network, which is lowered for it each time; 0: none.

    Attributes
    ----------
    rounds : Rounds
    weights : list of NDArray[np.float64]
        Of all of the network after the last whole round, on the first worker; none on others.
    history : list of Epoch
        By local epoch, on the first worker: mean loss and accuracy of the sub-networks; of the
        last epoch of a round that was looked at also the whole network's on the validation nodes;
        `cycles` of a whole round, of its slowest worker, with its last epoch.
    counters, passes, macs, clipped : Counter[str]
        What this worker's device did in local training, see
        :class:`gcnloom.parallel.local.Trained`.
    seconds : float
        Time it took for it.
    peak_words : int
        Words of device memory in use at most while its part trains.
    seen : tuple of int
        How many nodes the loss sees of the input and of each layer; none before the first round.
    lost_edges : int
        Edges too light for the operand width; likewise.
    best : list of NDArray[np.float64]
        Weights kept, likewise: those best on the validation nodes of the rounds that were looked
        at, the smaller loss deciding ties; else the last.
    done : int
        Whole rounds.
    trained : int
        Of them those of this trainer, and not of one whose checkpoint it continued.

    Raises
    ------
    ConfigError
        Neurons or epochs do not suffice, an option is not for parts, or workers differ.
    """

    def __init__(
        self, graph: Graph, options: Options, device: Device, communicator: Communicator,
        *, local_iterations: int = LOCAL_ITERATIONS, evaluate_every: int = 0,
    ) -> None:  # fmt: skip
        check_gist(options, graph, communicator.size, local_iterations, evaluate_every)
        self.rounds = Rounds.of(options, communicator.size, local_iterations)
        self.graph, self.options, self.device = graph, options, device
        self.communicator, self._evaluate_every = communicator, evaluate_every
        require_alike(
            communicator, graph, options, device, mode=GIST, local_iterations=local_iterations
        )
        self.network = options.network(graph.features.shape[1], graph.classes)
        self._parts = Parts(communicator, self.rounds, self.network.widths)
        self.judge = Judge(graph.labels)
        self.weights = first_weights(self.network, options.seed) if self.leads else []
        self.history: list[Epoch] = []
        self.counters: Counter[str] = Counter()
        self.passes: Counter[str] = Counter()
        self.macs: Counter[str] = Counter()
        self.clipped: Counter[str] = Counter()
        self.seconds, self.lost_edges, self.peak_words = 0.0, 0, 0
        self.seen: tuple[int, ...] = ()
        self.done = self.trained = 0
        self.best = self.weights
        self._best_rank: tuple[float, float] | None = None
        self._local: LocalTraining | None = None
        self._graph_digest = graph_digest(graph)
        self._state = self._snapshot()

    @property
    def leads(self) -> bool:
        """Whether this is the first worker."""
        return self.communicator.rank == 0

    @property
    def operand_width(self) -> int:
        """Bits of an operand on this worker's device."""
        return self.device.config.operand_width

    @property
    def local_options(self) -> Options:
        """Options of this worker's sub-network."""
        return replace(
            self.options,
            hidden=self.rounds.width(self.communicator.rank), epochs=self.rounds.iterations(0),
        )  # fmt: skip

    def run(self, progress: Callable[[Epoch], None] = lambda _: None) -> None:
        """Train to the last round; `progress` sees every epoch, on the first worker.

        An interruption loses the round under way: :meth:`checkpoint` still holds the state after
        the one before.
        """
        while self.done < self.rounds.count:
            epochs = self._round()
            self._state = self._snapshot()
            for epoch in epochs:
                progress(epoch)

    def start_from(self, weights: list[Array]) -> None:
        """Begin with these weights instead of random ones; before :meth:`run`."""
        require_shapes(weights, self.network)
        if self.leads:
            self.weights = self.best = [array.astype(np.float64) for array in weights]
            self._state = self._snapshot()

    def checkpoint(self) -> Checkpoint:
        """State after the last whole round, on the first worker."""
        history = [asdict(epoch) for epoch in self._state.meta["history"]]
        return Checkpoint(arrays=self._state.arrays, meta=self._state.meta | {"history": history})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue after the last whole round of another training; every worker calls it.

        It comes to the same bits as one that was not interrupted.

        Raises
        ------
        CheckpointError
            It is of another graph, other options, workers or iterations, or of another mode.
        """
        meta, mine = checkpoint.meta, self._state.meta
        if "gist" not in meta:
            raise CheckpointError(
                "the checkpoint is of a whole network's training; try it without parallel='gist'"
            )
        rounds = {name: meta["gist"][name] for name in ROUNDS}
        differing = [
            f"{name}={there!r} not {mine['gist'][name]!r}"
            for name, there in rounds.items() if there != mine["gist"][name]
        ] + self.options.differences(meta["options"], ignore=MAY_CHANGE)  # fmt: skip
        if meta["graph"] != self._graph_digest:
            differing.append(f"graph {meta['data']!r} ({meta['graph']})")
        if meta["operand_width"] != mine["operand_width"]:
            differing.append(f"operands of {meta['operand_width']} bits")
        if differing:
            raise CheckpointError(
                f"the checkpoint was trained with {', '.join(differing)}; "
                "try to resume with the same"
            )
        self.done = meta["gist"]["done"]
        self._best_rank = tuple(meta["best_rank"]) if meta["best_rank"] else None
        if self.leads:
            self.weights, self.best = checkpoint.group("weights"), checkpoint.group("model")
            self.history = [Epoch(**entry) for entry in meta["history"]]
        self._state = self._snapshot()

    def logits(self, weights: list[Array] | None = None) -> Array:
        """Logits of every node, by all of the network on this worker's device, the first.

        Its memory is cleared; shape ``(nodes, classes)``. `weights` are the last ones if not
        given.
        """
        self._local = None
        engine = Engine(
            self.graph, self.network, self.device, sampled=False, serial=self.options.serial,
            mixture=self.options.mixture,
        )  # fmt: skip
        return engine.logits(self.weights if weights is None else weights)

    def _round(self) -> list[Epoch]:
        """Train one round; return its epochs, on the first worker."""
        number, rounds = self.done, self.rounds
        part = self._parts.scatter(number, self.weights)
        if self._local is None:
            self._local = LocalTraining(self.graph, self.local_options, self.device)
        trained = self._local.train(
            part, seed=rounds.local_seed(number, self.communicator.rank),
            epochs=rounds.iterations(number),
        )  # fmt: skip
        self._count(trained, self._local)
        self.weights = self._parts.gather(number, self.weights, trained.weights)
        epochs = self._epochs(trained)
        self.done += 1
        self.trained += 1
        if self.leads and self._evaluate_every and not self.done % self._evaluate_every:
            epochs[-1] = self._evaluated(epochs[-1])
        if not self._evaluate_every:
            self.best = self.weights
        self.history += epochs
        return epochs

    def _epochs(self, trained: Trained) -> list[Epoch]:
        """Return what a round's epochs showed, on the first worker."""
        told, count = self._parts.statistics(trained), len(trained.history)
        if not self.leads:
            return []
        means, cycles = told[:, :-1].mean(axis=0), int(told[:, -1, 0].max())
        first = self.done * self.rounds.local_iterations + 1
        return [
            Epoch(
                epoch=first + index, loss=float(means[index, 0]), train=float(means[index, 1]),
                val=None, val_loss=None, cycles=cycles * (index == count - 1),
                saturations=int(told[:, index, 2].sum()),
            )
            for index in range(count)
        ]  # fmt: skip

    def _count(self, trained: Trained, local: LocalTraining) -> None:
        self.counters.update(trained.counters)
        self.passes.update(trained.passes)
        self.macs.update(trained.macs)
        self.clipped.update(trained.clipped)
        self.seconds += trained.seconds
        self.peak_words = max(self.peak_words, self.device.memory.used)
        lowered = local.trainer.engine.graph
        self.seen, self.lost_edges = lowered.seen, lowered.lost_edges

    def _evaluated(self, epoch: Epoch) -> Epoch:
        logits, val = self.logits(), self.graph.val
        loss, _ = self.judge.cross_entropy(logits, val)
        accuracy = float(np.mean(logits[val].argmax(axis=1) == self.graph.labels[val]))
        if self._best_rank is None or (accuracy, -loss) > self._best_rank:
            self._best_rank, self.best = (accuracy, -loss), self.weights
        return replace(epoch, val=accuracy, val_loss=loss)

    def _snapshot(self) -> Checkpoint:
        arrays = {f"weights{i}": array for i, array in enumerate(self.weights)}
        arrays |= {f"model{i}": array for i, array in enumerate(self.best)}
        rounds = {name: getattr(self.rounds, name) for name in ROUNDS}
        return Checkpoint(
            arrays=arrays,
            meta={
                "gist": rounds | {"done": self.done},
                "graph": self._graph_digest,
                "data": self.graph.name,
                "widths": list(self.network.widths),
                "operand_width": self.device.config.operand_width,
                "options": self.options.as_dict(),
                "history": tuple(self.history),
                "best_rank": self._best_rank,
            },
        )  # fmt: skip
