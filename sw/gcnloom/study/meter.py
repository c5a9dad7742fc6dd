# SPDX-License-Identifier: Apache-2.0
"""What an epoch of a training takes of each worker, counted alike in every mode."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.gist import GistTrainer
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom.training.epoch import Epoch
from gcnloom.training.trainer import FullBatch

__all__ = ["NAMES", "Meter"]

NAMES = ("bytes", "messages", "fetched_bytes", "edges", "transform_rows", "cycles")
BESIDE = ("inference", "start", "end")
"""Classes of messages that are not of training."""


class Meter:
    """Count what a worker does from epoch to epoch; every worker has one.

    The first epoch repeats its passes until their shifts fit, and is left out where there are
    others. Trainings that begin anew each round, or run many epochs in one, are counted whole.

    Parameters
    ----------
    trainer : FullBatch or GistTrainer
        Not begun yet.
    device : Device
        Its own.
    communicator : Communicator
    """

    def __init__(
        self, trainer: FullBatch | GistTrainer, device: Device, communicator: Communicator
    ) -> None:
        self._trainer, self._device, self._communicator = trainer, device, communicator
        self._first = self._last = self._now()
        self._start = self._epochs = 0
        options = trainer.options
        self._whole = isinstance(trainer, GistTrainer) or options.update == "device"

    def watch(self, epoch: Epoch) -> None:
        """See an epoch that has ended."""
        if self._whole:
            return
        self._epochs, self._last = epoch.epoch, self._now()
        if epoch.epoch == 1 < self._trainer.options.epochs:
            self._first, self._start = self._last, 1

    def end(self) -> dict[str, Any]:
        """Return what an epoch took; all workers call it when training has ended.

        Returns
        -------
        dict
            ``epochs`` that were counted, and ``per_worker`` the mean of them, by rank: ``bytes``
            and ``messages`` sent, ``fetched_bytes`` of input features, ``beats`` in which the
            engines multiply if they take turns, and ``cycles``, 0 without a clock; ``memory`` is
            the most of the device's that was in use, in bytes. Looks at the validation nodes
            are left out, but for their statistics.
        """
        if self._whole:
            self._last = self._now()
            self._epochs = self._local_epochs()
        mine = [*(self._last - self._first).tolist(), self._memory()]
        rows = self._communicator.table("end", mine)
        epochs = max(1, self._epochs - self._start)
        numbers = dict(zip(NAMES, (rows[:, :-1] / epochs).T, strict=True))
        beats = numbers["edges"] / self._device.config.pes + numbers["transform_rows"]
        kept = {name: numbers[name] for name in ("bytes", "messages", "fetched_bytes", "cycles")}
        per_worker = kept | {"beats": beats, "memory": rows[:, -1]}
        return {
            "epochs": epochs,
            "per_worker": {name: each.round(1).tolist() for name, each in per_worker.items()},
        }

    def _local_epochs(self) -> int:
        trainer = self._trainer
        if isinstance(trainer, GistTrainer):
            return trainer.rounds.local_epochs
        return len(trainer.history)

    def _now(self) -> NDArray[np.int64]:
        communicator = self._communicator
        kinds = [kind for kind in communicator.sent if kind not in BESIDE]
        counters, fetched = self._work()
        return np.array(
            [
                sum(communicator.sent[kind] for kind in kinds),
                sum(communicator.messages[kind] for kind in kinds),
                fetched,
                *(counters[name] for name in NAMES[3:]),
            ],
            dtype=np.int64,
        )

    def _work(self) -> tuple[Counter[str], int]:
        """Return the device's counters of training so far, and bytes of features fetched."""
        trainer = self._trainer
        if isinstance(trainer, GistTrainer):
            return trainer.passes, 0
        each = trainer.engine.counters
        total = sum((each[name] for name in each if name != "infer"), Counter())
        if isinstance(trainer, MinibatchTrainer):
            return total, trainer.engine.features["fetched_bytes"]
        return total, 0

    def _memory(self) -> int:
        trainer, words = self._trainer, self._device.memory.used
        if isinstance(trainer, GistTrainer):
            words = trainer.peak_words
        elif isinstance(trainer, MinibatchTrainer):
            words = trainer.engine.peak_words
        return words * self._device.config.memory_bytes
