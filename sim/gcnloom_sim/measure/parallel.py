# SPDX-License-Identifier: Apache-2.0
"""What workers exchange in each mode of parallelism, and how evenly they are loaded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gcnloom.device import open as open_device
from gcnloom.errors import DeviceError
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.launch import open_in_turn
from gcnloom.parallel.pipeline import SYNCHRONOUS, Pipeline
from gcnloom.parallel.summary import summary
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.trainer import MODES, ParallelTrainer
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256

__all__ = [
    "EXCHANGED",
    "Exchanged",
    "Trained",
    "exchanged",
    "trained_alone",
    "trained_together",
]

EXCHANGED = (
    "workers", "mode", "features", "formula", "weights", "formula", "validation", "formula",
    "bytes", "sparse MACs", "dense MACs",
)  # fmt: skip
FEATURES = ("activations", "logits", "gradients")


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """The last epoch of a training on several workers.

    Attributes
    ----------
    mode : str
    workers : int
    moved : dict[str, dict[str, float]]
        Bytes by class of message, ``measured`` and by ``formula``.
    imbalance : dict[str, float]
        Largest over mean of what workers send and multiply.
    """

    mode: str
    workers: int
    moved: dict[str, dict[str, float]]
    imbalance: dict[str, float]

    def cells(self) -> tuple[object, ...]:
        """Cells of a table, by :data:`EXCHANGED`."""
        groups = FEATURES, ("weights",), ("inference",)
        numbers = [
            f"{sum(self.moved[kind][which] for kind in group):,.0f}"
            for group in groups
            for which in ("measured", "formula")
        ]
        return (
            self.workers, self.mode, *numbers,
            *(f"{ratio:.3f}" for ratio in self.imbalance.values()),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training came to.

    Attributes
    ----------
    weights : str
        Digest of the last ones.
    test : float or None
        Accuracy of those kept.
    summary : dict
        Of several workers, see :func:`gcnloom.parallel.summary.summary`.
    """

    weights: str
    test: float | None
    summary: dict[str, Any]


def exchanged(
    data: str,
    device: str,
    workers: Sequence[int],
    settings: Options,
    progress: Callable[[str], None],
) -> Iterator[Exchanged]:
    """Train on one device, then on so many workers in each mode.

    Raises
    ------
    DeviceError
        Workers come to other weights than one device.
    """
    graph = datasets.load(data, seed=settings.seed)
    progress(f"{data} on one device")
    alone = trained_alone(graph, device, settings).weights
    for count in workers:
        for mode in MODES:
            progress(f"{data} on {count} workers, {mode}")
            done = trained_together(graph, device, count, mode, settings)
            if done.weights != alone:
                raise DeviceError(
                    f"{count} workers come to weights {done.weights[:16]} in mode {mode}, one "
                    f"device to {alone[:16]}; try another number and tell us"
                )
            yield Exchanged(
                mode=mode, workers=count, moved=done.summary["bytes_per_epoch"],
                imbalance=done.summary["imbalance"],
            )  # fmt: skip


def trained_alone(graph: Graph, device: str, settings: Options) -> Trained:
    """Train on one device."""
    with open_device(device) as opened:
        return _trained(Trainer(graph, settings, opened), lambda trainer: {})


def trained_together(
    graph: Graph, device: str, workers: int, mode: str, settings: Options,
    pipeline: Pipeline = SYNCHRONOUS,
) -> Trained:  # fmt: skip
    """Train on several workers, each with such a device."""

    def work(communicator: Communicator) -> Trained:
        with open_in_turn(communicator, lambda: open_device(device)) as opened:
            trainer = ParallelTrainer(
                graph, settings, opened, communicator, mode=mode, pipeline=pipeline
            )
            return _trained(trainer, summary)

    return run_threads(workers, work)[0]


def _trained(trainer: Any, summarised: Callable[[Any], dict[str, Any]]) -> Trained:
    trainer.run()
    found = summarised(trainer)
    logits = trainer.engine.logits(trainer.best)
    return Trained(
        weights=weights_sha256(trainer.weights),
        test=trainer.judge.accuracy(logits, trainer.graph.test),
        summary=found,
    )
