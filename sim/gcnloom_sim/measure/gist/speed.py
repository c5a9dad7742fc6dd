# SPDX-License-Identifier: Apache-2.0
"""Cycles of sub-network training, at equal epochs and up to an accuracy (G7)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.local import LocalTraining
from gcnloom.parallel.parts import round_bytes
from gcnloom.parallel.rounds import Rounds
from gcnloom.study.finding import Finding
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom_sim.cycles.prediction import predict
from gcnloom_sim.measure.gist.accuracy import Group, Study, chosen, grouped

__all__ = ["SPEED", "Speed", "speed_finding", "speed_rows", "speeds"]

SPEED = (
    "data", "workers", "ζ", "epochs each", "cycles an epoch", "times fewer", "of the training",
    "times fewer", "bytes", "reach the accuracy", "cycles to it", "times fewer", "bytes to it",
)  # fmt: skip
BELOW = 0.02
"""What the accuracy to be reached is below the best of one worker's validation accuracies."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Cycles of the slowest worker and bytes of all.

    Attributes
    ----------
    group : Group
        Trainings whose local iterations were chosen.
    epoch : int
        Predicted cycles of a local epoch, a forward and a backward pass.
    cycles, bytes_sent : int
        Of all epochs.
    reached : int
        Trainings that come to the accuracy.
    cycles_to, bytes_to : float
        Means until then, over those that do; infinite if none does.
    """

    group: Group
    epoch: int
    cycles: int
    bytes_sent: int
    reached: int
    cycles_to: float
    bytes_to: float


def speeds(
    studies: Sequence[Study], sources: Sequence[str], device: str, memory: str,
    progress: Callable[[str], None],
) -> list[Speed]:  # fmt: skip
    """Predict the cycles of trainings that :func:`~.accuracy.study` has kept.

    A seed's accuracy to be reached is :data:`BELOW` one worker's; weights are looked at as the
    study did, so that a training may have come to it before.

    Parameters
    ----------
    studies : sequence of Study
    sources : sequence of str
        Their graphs, as ``gcnloom train`` takes them.
    device, memory : str
        Whose cycles are predicted.
    progress : callable
    """
    graphs = {graph.name: graph for graph in map(datasets.load, sources)}
    best, found = chosen(grouped(studies)), []
    for (data, workers), group in best.items():
        if data not in graphs or (data, 1) not in best:
            continue
        progress(f"{data}: {workers} workers")
        aims = {each.seed: each.kept.val - BELOW for each in best[data, 1].studies}
        found.append(_speed(group, graphs[data], aims, device, memory))
    return found


def speed_rows(found: Sequence[Speed]) -> Iterator[tuple[object, ...]]:
    """Yield a row of :data:`SPEED` for each graph and number of workers."""
    alone = {each.group.data: each for each in found if each.group.workers == 1}
    for each in found:
        group, one = each.group, alone[each.group.data]
        yield (
            group.data, group.workers, group.local_iterations, group.studies[0].looks[-1].epoch,
            f"{each.epoch:,}", f"{one.epoch / each.epoch:.1f}",
            f"{each.cycles:,}", f"{one.cycles / each.cycles:.1f}", f"{each.bytes_sent:,}",
            f"{each.reached} of {len(group.studies)}",
            *((f"{each.cycles_to:,.0f}", f"{one.cycles_to / each.cycles_to:.1f}",
               f"{each.bytes_to:,.0f}") if each.reached else ("never", "", "")),
        )  # fmt: skip


def speed_finding(found: Sequence[Speed], command: str) -> Finding:
    """Say what the cycles say of G7."""
    alone = {each.group.data: each for each in found if each.group.workers == 1}
    parts = [
        f"{each.group.data} m = {each.group.workers}: "
        f"{alone[each.group.data].cycles / each.cycles:.1f} and "
        f"{alone[each.group.data].cycles_to / each.cycles_to:.1f} "
        f"({each.reached} of {len(each.group.studies)} seeds)"
        for each in found if each.group.workers > 1
    ]  # fmt: skip
    return Finding(
        statement="G7",
        verdict="shown" if parts else "not shown",
        asked="the speed-up at equal epochs and as time to accuracy",
        measured="times fewer cycles of the slowest worker for epochs divided by m, and up to "
        f"{100 * BELOW:.0f} points below one worker's validation accuracy: {'; '.join(parts)}",
        command=command,
        why="" if parts else "no trainings are kept",
    )  # fmt: skip


def _speed(group: Group, graph: Graph, aims: dict[int, float], device: str, memory: str) -> Speed:
    recipe = Options(**group.studies[0].options)
    plan = Rounds.of(recipe, group.workers, group.local_iterations)
    epoch, repeated = _local_cycles(graph, recipe, plan, device, memory)
    sent = round_bytes(plan, recipe.network(graph.features.shape[1], graph.classes).widths)

    def rounds(epochs: int) -> int:
        return -(-epochs // group.local_iterations)

    def cycles(epochs: int) -> int:
        return (epochs + repeated * rounds(epochs)) * epoch

    at = [
        next((look.epoch for look in each.looks if look.val >= aims[each.seed]), None)
        for each in group.studies
    ]
    reached = [epochs for epochs in at if epochs is not None]
    return Speed(
        group=group, epoch=epoch, cycles=cycles(plan.local_epochs), reached=len(reached),
        bytes_sent=sent * plan.count,
        cycles_to=float(np.mean([cycles(epochs) for epochs in reached])) if reached else np.inf,
        bytes_to=float(np.mean([sent * rounds(each) for each in reached])) if reached else np.inf,
    )  # fmt: skip


def _local_cycles(
    graph: Graph, recipe: Options, plan: Rounds, device: str, memory: str
) -> tuple[int, int]:
    """Predict the cycles of an epoch; count how often the first one of a round is repeated."""
    with open_device(device) as opened:
        options = replace(recipe, hidden=plan.width(0), epochs=1)
        local = LocalTraining(graph, options, opened)
        engine = local.trainer.engine
        lowered = engine.lowered
        cycles = sum(
            predict(program, opened.config, memory).cycles
            for program in (lowered.forward, lowered.backward)
        )
        local.train(first_weights(engine.network, 0), seed=0, epochs=1)
        return cycles, engine.runs["forward"] - 1
