# SPDX-License-Identifier: Apache-2.0
"""Every model on one graph: accuracy beside 32-bit floating point, multiplications, cycles."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.training.options import Options
from gcnloom_sim.measure.accuracy import compare
from gcnloom_sim.workloads.runs import RUN_EPOCHS, predicted_epochs, routine_of

__all__ = ["RECIPES", "Trained", "trained_models"]

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "GCN, 2 layers": {},
    "GCN, 4 layers": {"layers": 4},
    "GCN, 4 layers, residual": {"layers": 4, "residual": True},
    "GraphSAGE, 2 layers": {"model": "sage"},
    "GraphSAGE, 3 layers, residual": {"model": "sage", "layers": 3, "residual": True},
    "GIN, 2 layers": {"model": "gin", "lr": 0.005, "dropout": 0.25},
}
"""Options of a training beside the defaults. Sums over neighbours want smaller steps than means."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a model came to.

    Attributes
    ----------
    data, name : str
        Graph, and key of :data:`RECIPES`.
    options : dict
        Those that are not the defaults.
    device, float32 : list of float
        Test accuracies by seed.
    macs : int
        Necessary multiplications of an epoch, with the split of seed 0.
    cycles : int
        Predicted ones of an epoch with loss and update, with an ideal memory.
    """

    data: str
    name: str
    options: dict[str, Any]
    device: list[float]
    float32: list[float]
    macs: int
    cycles: int


def trained_models(
    data: str, device: str, seeds: int, epochs: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Trained]:  # fmt: skip
    """Train every model with seeds 0, 1... on a device and in floating point.

    The device updates the weights itself; both keep the last ones.
    """
    graph = datasets.load(data, seed=0)
    for name, recipe in RECIPES.items():
        options = Options(**recipe, epochs=epochs)
        progress(f"{graph.name}: {name}")
        rows = compare(data, device, seeds, options, progress)
        with open_device(device) as opened:
            short = replace(options, epochs=RUN_EPOCHS)
            trainer, routine = routine_of(graph, short, opened)
            macs = trainer.engine.necessary_macs
        yield Trained(
            data=graph.name, name=name, options=dict(recipe),
            device=[row.device for row in rows], float32=[row.float32 for row in rows],
            macs=macs["forward"] + macs["backward"],
            cycles=predicted_epochs(routine, "ideal").cycles,
        )  # fmt: skip
