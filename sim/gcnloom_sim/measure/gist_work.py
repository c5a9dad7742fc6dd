# SPDX-License-Identifier: Apache-2.0
"""Work, bytes and coverage of sub-network training (G3, G4, G6), measured."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.launch import open_in_turn
from gcnloom.parallel.parts import round_bytes
from gcnloom.parallel.rounds import Rounds
from gcnloom.parallel.summary import summary
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.trainer import ParallelTrainer
from gcnloom.training.engine import Engine
from gcnloom.training.loss import cross_entropy
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights

__all__ = ["BYTES", "COVERAGE", "WORK", "byte_rows", "coverage_rows", "work_rows"]

WORK = (
    "workers", "hidden weights", "times m²", "other weights", "times m", "hidden products",
    "times m²", "other products", "times m", "hidden aggregation", "times m",
    "other aggregation", "times m",
)  # fmt: skip
BYTES = (
    "workers", "ζ", "rounds", "measured, a round", "formula", "all-reduce, a step", "formula",
    "times fewer", "at ζ = 500",
)  # fmt: skip
COVERAGE = ("workers", "rounds", "never trained", "formula", "most above, of all rounds")
LONG = 500
"""Local iterations of the statement about bytes."""


def work_rows(
    data: str, device: str, hidden: int, workers: Sequence[int]
) -> Iterator[tuple[object, ...]]:
    """Yield a row of :data:`WORK` for each number of workers, from the device's counters.

    A forward and a backward pass run with one hidden layer and with two. What the second one adds
    is the hidden layer's, the rest the first and the last layer's. Features have to be dense:
    the array then multiplies by weights, the sparse engine aggregates.

    Parameters
    ----------
    data : str
    device : str
    hidden : int
        Neurons of a hidden layer; workers should divide it into whole vectors of the device.
    workers : sequence of int
        The first is what others are compared with.
    """
    graph = datasets.load(data)
    base: list[int] = []
    for count in workers:
        plan = Rounds(
            workers=count, local_iterations=1, epochs=count, hidden=hidden, hidden_layers=2, seed=0
        )
        two, three = (_work(graph, device, plan.width(0), layers) for layers in (2, 3))
        parts = [
            here
            for name in ("weights", "products", "aggregation")
            for here in (three[name] - two[name], two[name])
        ]
        base = base or parts
        cells: list[object] = [count]
        for index, (whole, part) in enumerate(zip(base, parts, strict=True)):
            power = 2 if index in (0, 2) else 1
            cells += [f"{part:,}", f"{part / whole * (count / workers[0]) ** power:.4f}"]
        yield tuple(cells)


def _work(graph: Graph, device: str, hidden: int, layers: int) -> Counter[str]:
    options = Options(hidden=hidden, layers=layers, update="host")
    network = options.network(graph.features.shape[1], graph.classes)
    with open_device(device) as opened:
        engine = Engine(graph, network, opened, sampled=False, mixture=False)
        weights = first_weights(network, 0)
        logits = engine.forward(weights, step=0, training=True)
        engine.backward(cross_entropy(logits, graph.labels, graph.train)[1], step=0)
        config, total = opened.config, opened.counters()
    return Counter(
        weights=sum(inner * outer for inner, outer in pairwise(network.widths)),
        products=total["transform_rows"] * config.rows * config.columns,
        aggregation=total["edges"] * config.lanes,
    )


def byte_rows(
    data: str, device: str, workers: Sequence[int], iterations: int, settings: Options,
    progress: Callable[[str], None],
) -> Iterator[tuple[object, ...]]:  # fmt: skip
    """Yield a row of :data:`BYTES` for each number of workers.

    What a round sends is set against an all-reduce of the weight gradients in each of its steps,
    as the mode `mop` measures it.
    """
    graph = datasets.load(data, seed=settings.seed)
    widths = settings.network(graph.features.shape[1], graph.classes).widths
    weights = sum(inner * outer for inner, outer in pairwise(widths))
    for count in workers:
        progress(f"{data} on {count} workers")
        rounds, sent = _gist_bytes(graph, device, count, iterations, settings)
        reduced = _reduced_bytes(graph, device, count, settings)
        formula = round_bytes(rounds, widths)
        measured = sent / rounds.count
        yield (
            count, iterations, rounds.count, f"{measured:,.0f}", f"{formula:,}",
            f"{reduced['measured']:,.0f}", f"{reduced['formula']:,.0f}",
            f"{iterations * reduced['measured'] / measured:.1f}",
            f"{LONG * 2 * (count - 1) * weights * _value(reduced, weights, count) / formula:,.0f}",
        )  # fmt: skip


def _value(reduced: dict[str, float], weights: int, workers: int) -> float:
    """Bytes of a value in an all-reduce."""
    return reduced["formula"] / (2 * (workers - 1) * weights)


def _gist_bytes(
    graph: Graph, device: str, workers: int, iterations: int, settings: Options
) -> tuple[Rounds, int]:
    def work(communicator: Communicator) -> tuple[Rounds, int]:
        with open_in_turn(communicator, lambda: open_device(device)) as opened:
            trainer = GistTrainer(
                graph, settings, opened, communicator, local_iterations=iterations
            )
            trainer.run()
            sent = communicator.sent
            return trainer.rounds, sent["scatter"] + sent["gather"]

    results = run_threads(workers, work)
    return results[0][0], sum(sent for _, sent in results)


def _reduced_bytes(graph: Graph, device: str, workers: int, settings: Options) -> dict[str, float]:
    def work(communicator: Communicator) -> dict[str, float]:
        with open_in_turn(communicator, lambda: open_device(device)) as opened:
            trainer = ParallelTrainer(graph, settings, opened, communicator, mode="mop")
            trainer.run()
            moved: dict[str, float] = summary(trainer)["bytes_per_epoch"]["weights"]
            return moved

    return run_threads(workers, work)[0]


def coverage_rows(
    hidden: int, workers: Sequence[int], rounds: int, seeds: int
) -> Iterator[tuple[object, ...]]:
    """Yield a row of :data:`COVERAGE` for each number of workers.

    Shares of the weights between two hidden layers that no worker has trained, mean over the
    seeds, and the most by which the share of any seed is above the formula's after any round.
    """
    for count in workers:
        shares = np.array([_untrained(hidden, count, rounds, seed) for seed in range(seeds)])
        formula = (1 - 1 / count) ** np.arange(1, rounds + 1)
        for shown in sorted({1, rounds // 4, rounds // 2, rounds} - {0}):
            yield (
                count, shown, f"{100 * shares[:, shown - 1].mean():.3f} %",
                f"{100 * formula[shown - 1]:.3f} %",
                f"{100 * (shares - formula).max():+.3f} %" if shown == rounds else "",
            )  # fmt: skip


def _untrained(hidden: int, workers: int, rounds: int, seed: int) -> list[float]:
    plan = Rounds(
        workers=workers, local_iterations=1, epochs=workers * rounds, hidden=hidden,
        hidden_layers=2, seed=seed,
    )  # fmt: skip
    trained, shares = np.zeros((hidden, hidden), dtype=bool), []
    for number in range(rounds):
        inner, outer = plan.groups(number).layers
        for worker in range(workers):
            trained[np.ix_(inner[worker], outer[worker])] = True
        shares.append(float(1 - trained.mean()))
    return shares
