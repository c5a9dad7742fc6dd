# SPDX-License-Identifier: Apache-2.0
"""Full-batch training that stays on the device: products, loss, weight step and early stopping."""

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.errors import CheckpointError, ClippedWarning, ConfigError
from gcnloom.graphs.graph import Graph
from gcnloom.training.checkpoint import Checkpoint
from gcnloom.training.epoch import Epoch
from gcnloom.training.masters import Masters
from gcnloom.training.options import Options
from gcnloom.training.resident import Resident, State
from gcnloom.training.trainer import Trainer
from gcnloom.transport import Judged
from gcnloom_spec.softmax import LOSS_FRACTION

__all__ = ["DeviceTrainer", "trainer_for"]

Array = NDArray[np.float64]
NATS = log(2) / (1 << LOSS_FRACTION)


def trainer_for(graph: Graph, options: Options, device: Device, *, pause: int = 0) -> Trainer:
    """Return the trainer that the option `update` names.

    Its state is there to be saved every `pause` epochs; 0: at the end. The host's always is.
    """
    if options.update == "device":
        return DeviceTrainer(graph, options, device, pause=pause)
    return Trainer(graph, options, device)


class DeviceTrainer(Trainer):
    """Train a GCN in runs of many epochs, of which the host reads records of 32 bytes each.

    The weights kept are the last ones. Validation nodes are looked at every `validate_every`
    epochs; the first state, with which passes are repeated until their shifts fit, is the host's.

    Parameters
    ----------
    graph : Graph
    options : Options
    device : Device
        Its memory is cleared.
    pause : int
        Most epochs of a run, at the end of which :meth:`checkpoint` has its state; 0: all.

    Attributes
    ----------
    resident : Resident
        What runs the epochs.
    """

    _training: State | None = None

    def __init__(
        self, graph: Graph, options: Options, device: Device, *, pause: int = 0
    ) -> None:  # fmt: skip
        if not device.config.master_width:
            raise ConfigError(
                f"configuration {device.config.digest} has no update unit (master_width = 0); "
                "try --update host, or a configuration with master_width = 16"
            )
        super().__init__(graph, options, device)
        self.resident = Resident(self.engine, graph, options)
        self._pause = pause or options.epochs

    @property
    def stopped_early(self) -> bool:
        """Whether judged losses have not fallen for `patience` epochs."""
        patience, state = self.options.patient_judgements, self._training
        return patience > 0 and state is not None and state.judged.worse >= patience

    def run(self, progress: Callable[[Epoch], None] = lambda _: None) -> None:
        """Train to the last epoch or until stopped early; `progress` sees every epoch.

        An interruption ends the run after the epoch under way, and is raised then.
        """
        if self._training is None:
            self._training = self.resident.first(self.weights)
            self._take(self._training)
        while not self.stopped_early:
            state = self._training
            left = self.options.epochs - state.step
            if left <= 0 and not state.owes:
                return
            self._run(state, min(left, self._pause - state.step % self._pause), progress)

    def _run(self, before: State, epochs: int, progress: Callable[[Epoch], None]) -> None:
        """Train for so many epochs in one run."""
        stop = before.step + epochs

        def watch(step: int) -> None:
            # The last epoch is judged a little later, and shown when its state is there.
            shown = min(step, stop - 1) - self.resident.judges(min(step, stop - 1))
            for epoch in self._read_history(shown):
                progress(epoch)

        state, result = self.resident.run(before, epochs, watch)
        fresh = self._read_history(state.step, owes=state.owes)
        if before.owes:
            self._judge_late(before.step)
        self._training = state
        self._warn(range(before.step, state.step))
        self._take(state)
        for epoch in fresh:
            progress(epoch)
        if result.ended.interrupted:
            raise KeyboardInterrupt

    def _warn(self, steps: range) -> None:
        """Take up what a run has clipped, and say so."""
        fresh = Counter(self.resident.clipped) - Counter(self.clipped)
        self.clipped = dict(self.resident.clipped)
        if fresh:
            counts = ", ".join(f"{count:,} of {name}" for name, count in fresh.items())
            warnings.warn(
                f"steps of epochs {steps.start + 1} to {steps.stop} that did not fit the device's "
                f"{self.engine.device.config.master_width} bits and were clipped: {counts}; "
                "try --update host, a smaller lr, more weight_decay or a larger master_width",
                ClippedWarning, stacklevel=2,
            )  # fmt: skip

    def restart(self, weights: list[Array], *, seed: int, epochs: int) -> None:
        """Begin another training of the same network; see :meth:`Trainer.restart`."""
        self._training = None
        super().restart(weights, seed=seed, epochs=epochs)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where another trainer of the same graph and options was, on any device."""
        meta = checkpoint.meta
        self._require_same(meta)
        width = self.engine.device.config.master_width
        if meta["master_width"] != width:
            raise CheckpointError(
                f"the checkpoint's weights have {meta['master_width']} bits, this device's {width};"
                f" try a configuration with master_width = {meta['master_width']}"
            )
        self.history = [Epoch(**entry) for entry in meta["history"]]
        masters = tuple(
            Masters(
                weights=weights.astype(np.int64), momenta=momenta.astype(np.int64), **exponents
            )
            for weights, momenta, exponents in zip(
                checkpoint.group("mantissas"), checkpoint.group("momenta"), meta["masters"],
                strict=True,
            )
        )  # fmt: skip
        self._training = State(
            step=meta["step"], masters=masters, used=tuple(meta["used"]), wanted=meta["wanted"],
            judged=Judged(**meta["judged"]), owes=meta["owes"],
        )  # fmt: skip
        self._take(self._training)

    def _take(self, state: State) -> None:
        """Take up the weights of a state, which are the ones kept."""
        shapes = self.engine.network.weight_shapes
        self.weights = [
            masters.real[: shape[0]] for masters, shape in zip(state.masters, shapes, strict=True)
        ]
        self.best = self.weights
        self._state = self._snapshot()

    def _read_history(self, step: int, *, owes: bool = False) -> list[Epoch]:
        """Read what the losses left of the epochs up to `step`, which may owe its judgement."""
        done, graph = len(self.history), self.graph
        if step <= done:
            return []
        trained, fresh = self.resident.records(range(done, step), inference=False), []
        for index, number in enumerate(range(done + 1, step + 1)):
            judged = self.resident.judges(number) and not (owes and number == step)
            val, val_loss = self._judgement(number) if judged else (None, None)
            epoch = Epoch(
                epoch=number,
                loss=float(trained["train_loss"][index]) * NATS / len(graph.train),
                train=float(trained["train_correct"][index]) / len(graph.train),
                val=val, val_loss=val_loss, cycles=0, saturations=0,
            )  # fmt: skip
            fresh.append(epoch)
        self.history += fresh
        return fresh

    def _judge_late(self, number: int) -> None:
        """Complete an epoch that was interrupted before it was judged."""
        val, val_loss = self._judgement(number)
        self.history[number - 1] = replace(self.history[number - 1], val=val, val_loss=val_loss)

    def _judgement(self, number: int) -> tuple[float | None, float | None]:
        """Read what the validation nodes showed after an epoch."""
        nodes = len(self.graph.val)
        if not nodes:
            return None, None
        record = self.resident.records(range(number, number + 1), inference=True)
        loss = float(record["val_loss"][0]) * NATS / nodes
        return float(record["val_correct"][0]) / nodes, loss

    def _snapshot(self) -> Checkpoint:
        basis = super()._snapshot()
        state = self._training
        if state is None:
            return basis
        arrays = dict(basis.arrays)
        for layer, masters in enumerate(state.masters):
            arrays[f"mantissas{layer}"] = masters.weights.astype(np.float64)
            arrays[f"momenta{layer}"] = masters.momenta.astype(np.float64)
        meta = basis.meta | {
            "master_width": self.engine.device.config.master_width,
            "step": state.step,
            "masters": [masters.exponents() for masters in state.masters],
            "used": list(state.used),
            "wanted": state.wanted,
            "judged": asdict(state.judged),
            "owes": state.owes,
        }
        return Checkpoint(arrays=arrays, meta=meta)
