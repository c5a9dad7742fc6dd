# SPDX-License-Identifier: Apache-2.0
"""Weights of cooperating workers beside those of one with a batch as large."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.threads import run_threads
from gcnloom.sampling.options import Sampling
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom.training.options import Options
from gcnloom.training.trainer import FullBatch, Trainer
from gcnloom.training.weights import weights_sha256

__all__ = ["BITS", "bit_rows"]

Say = Callable[[str], None]
BITS = ("graph", "training", "device", "P", "weights", "one worker's")
BATCHES: dict[str, dict[str, Any]] = {
    "neighbour": {"batch": 24, "fanout": (4, 4), "kappa": 3},
    "labor": {"batch": 24, "fanout": (4, 4), "kappa": 3},
    "cluster": {"batch": 4, "clusters": 8},
}
"""How a batch of all workers is made, by sampler."""
RECIPE = Options(update="host", optimiser="adam", dropout=0.25, hidden=6, epochs=1)


def bit_rows(
    data: Sequence[str], devices: Sequence[str], workers: Sequence[int], say: Say
) -> Iterator[tuple[object, ...]]:
    """Train an epoch; the first device, with one worker, is what the others are held against.

    The full graph is trained beside, on every device.
    """
    for name in data:
        graph = datasets.load(name, seed=0)
        for training in ("full graph", *BATCHES):
            one = _weights(graph, training, devices[0], 1)
            for device in devices:
                for count in workers if training in BATCHES else (1,):
                    say(f"{name}, {training}, {count} of {device}")
                    found = _weights(graph, training, device, count)
                    yield name, training, device, count, found[:16], _yes(found == one)


def _weights(graph: Graph, training: str, device: str, workers: int) -> str:
    def work(communicator: Communicator) -> str:
        with open_device(device) as opened:
            trainer: FullBatch
            if training in BATCHES:
                choice = BATCHES[training] | {"batch": BATCHES[training]["batch"] // workers}
                trainer = MinibatchTrainer(
                    graph, RECIPE, opened, communicator, mode="cooperative",
                    sampling=Sampling(sampler=training, evaluate_every=0, **choice),
                )  # fmt: skip
            else:
                trainer = Trainer(graph, RECIPE, opened)
            trainer.run()
            return weights_sha256(trainer.weights)

    return run_threads(workers, work)[0]


def _yes(same: bool) -> str:
    return "yes" if same else "no"
