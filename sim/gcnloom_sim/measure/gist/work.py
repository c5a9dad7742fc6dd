# SPDX-License-Identifier: Apache-2.0
"""Weights and multiplications of a worker of sub-network training (G3), by counters."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.rounds import Rounds
from gcnloom.study.finding import Finding
from gcnloom.training.engine import Engine
from gcnloom.training.loss import cross_entropy
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights

__all__ = ["WORK", "Work", "work_finding", "work_rows", "works"]

WORK = (
    "workers", "hidden weights", "times m²", "other weights", "times m", "hidden products",
    "times m²", "other products", "times m", "hidden aggregation", "times m",
    "other aggregation", "times m",
)  # fmt: skip
POWERS = (2, 1, 2, 1, 1, 1)
"""Of m by which each part of :class:`Work` should fall."""
ALLOWED = 0.01


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one worker has and does.

    Attributes
    ----------
    workers : int
    parts : tuple of int
        Weights, multiplications by them and multiplications along edges, each of the hidden
        layer and of the others.
    ratios : tuple of float
        The parts beside those of the first number of workers, times what they should fall by.
    """

    workers: int
    parts: tuple[int, ...]
    ratios: tuple[float, ...]


def works(data: str, device: str, hidden: int, workers: Sequence[int]) -> list[Work]:
    """Count for each number of workers, by the device's counters.

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
    found: list[Work] = []
    for count in workers:
        plan = Rounds(
            workers=count, local_iterations=1, epochs=count, hidden=hidden, hidden_layers=2, seed=0
        )
        two, three = (_work(graph, device, plan.width(0), layers) for layers in (2, 3))
        parts = tuple(
            here
            for name in ("weights", "products", "aggregation")
            for here in (three[name] - two[name], two[name])
        )
        base = found[0].parts if found else parts
        times = count / workers[0]
        ratios = zip(parts, base, POWERS, strict=True)
        found.append(
            Work(
                workers=count, parts=parts,
                ratios=tuple(part / whole * times**power for part, whole, power in ratios),
            )
        )  # fmt: skip
    return found


def work_rows(found: Sequence[Work]) -> Iterator[tuple[object, ...]]:
    """Yield a row of :data:`WORK` for each number of workers."""
    for each in found:
        pairs = zip(each.parts, each.ratios, strict=True)
        yield (
            each.workers,
            *(cell for part, ratio in pairs for cell in (f"{part:,}", f"{ratio:.4f}")),
        )


def work_finding(found: Sequence[Work], command: str) -> Finding:
    """Say what the counters say of G3: multiplications along edges are among the MACs."""
    weights = max(abs(ratio - 1) for each in found for ratio in each.ratios[:4])
    hidden, others = (
        max(_times(each, found[0], layers) for each in found) for layers in (0, 1)
    )  # fmt: skip
    whole = max(weights, hidden - 1, others - 1) <= ALLOWED
    return Finding(
        statement="G3",
        verdict="shown" if whole else "refuted",
        asked="hidden weights and MACs of a worker as 1/m², others as 1/m, within 1 %",
        measured=f"weights and MACs by them within {100 * weights:.2f} %, "
        f"m = {', '.join(str(each.workers) for each in found)}; with those along edges the "
        f"hidden layer takes up to {hidden:.2f} times 1/m², the others {others:.2f} times 1/m",
        command=command,
        why="" if whole else "sums along edges have a column a neuron: a hidden layer's fall as "
        "1/m, and those of the classes, which are not divided, do not fall",
    )  # fmt: skip


def _times(each: Work, first: Work, layers: int) -> float:
    """All MACs of the hidden layer or of the others, beside what they should fall to."""
    whole, part = (sum(work.parts[2 + layers :: 2]) for work in (first, each))
    return part / whole * (each.workers / first.workers) ** POWERS[layers]


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
