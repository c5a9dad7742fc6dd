# SPDX-License-Identifier: Apache-2.0
"""A small training by sub-networks, its workers threads."""

from dataclasses import dataclass
from typing import Any

import gcnloom
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.threads import run_threads

__all__ = ["Trained", "train_gist"]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training left on the first worker, and bytes that each worker sent."""

    trainer: Any
    accuracy: float
    sent: list


def train_gist(graph, options, workers, *, device="model:odd", prepare=lambda _: None, **more):
    """Train with so many workers; `prepare` sees every trainer before it runs."""

    def work(communicator):
        with gcnloom.open(device, memory_megabytes=1) as opened:
            trainer = GistTrainer(graph, options, opened, communicator, **more)
            prepare(trainer)
            trainer.run()
            accuracy = None
            if trainer.leads:
                accuracy = trainer.judge.accuracy(trainer.logits(), graph.test)
            return trainer, accuracy, dict(communicator.sent)

    results = run_threads(workers, work)
    trainer, accuracy, _ = results[0]
    return Trained(trainer=trainer, accuracy=accuracy, sent=[sent for _, _, sent in results])
