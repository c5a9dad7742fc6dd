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
from gcnloom.parallel.summary import summary
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.trainer import MODES, ParallelTrainer
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256

__all__ = ["EXCHANGED", "Exchanged", "exchanged"]

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
    with open_device(device) as opened:
        trainer = Trainer(graph, settings, opened)
        trainer.run()
    alone = weights_sha256(trainer.weights)
    for count in workers:
        for mode in MODES:
            progress(f"{data} on {count} workers, {mode}")
            digest, found = _together(graph, device, count, mode, settings)
            if digest != alone:
                raise DeviceError(
                    f"{count} workers come to weights {digest[:16]} in mode {mode}, one device to "
                    f"{alone[:16]}; try another number and tell us"
                )
            yield Exchanged(
                mode=mode, workers=count, moved=found["bytes_per_epoch"],
                imbalance=found["imbalance"],
            )  # fmt: skip


def _together(
    graph: Graph, device: str, workers: int, mode: str, settings: Options
) -> tuple[str, dict[str, Any]]:
    def work(communicator: Communicator) -> tuple[str, dict[str, Any]]:
        with open_in_turn(communicator, lambda: open_device(device)) as opened:
            trainer = ParallelTrainer(graph, settings, opened, communicator, mode=mode)
            trainer.run()
            return weights_sha256(trainer.weights), summary(trainer)

    return run_threads(workers, work)[0]
