# SPDX-License-Identifier: Apache-2.0
"""Products of which only what a mask asks for is computed, against whole ones: M4."""

import argparse
from dataclasses import dataclass, replace
from math import lcm

import numpy as np
from scipy.sparse import csr_array

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.graphs.graph import Graph
from gcnloom.lower.graph import OrderedGraph, order_graph
from gcnloom.lower.work import necessary_macs
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256
from gcnloom_sim.cycles import predict
from gcnloom_sim.measure.statements.measured import Measured, Say, graphs_of
from gcnloom_sim.workloads.rows import WORK

__all__ = ["Sampled", "equals_reference", "labelled", "sampled", "sampled_products"]

GRAPHS = ("digits", "rmat:12,16")
LABELS = (1, 5, 20)
PASSES = WORK["epoch"]
MOST_APART = 0.05


@dataclass(frozen=True, kw_only=True)
class Effort:
    """An epoch, and the last weights.

    Attributes
    ----------
    necessary : int
        Multiplications that no exact engine could leave out.
    vectors : int
        The same were all features whole vectors, which is what the engines multiply.
    executed : int
        By the device's counters.
    cycles : int
    weights : str
    """

    necessary: int
    vectors: int
    executed: int
    cycles: int
    weights: str


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """What a mask leaves of an epoch.

    Attributes
    ----------
    seen : tuple of int
        Nodes in the mask of the input and of each layer.
    some, every : Effort
        With the mask and without.
    exact : bool
        Whether masked products are those rows of the whole ones, and the weights the same.
    """

    seen: tuple[int, ...]
    some: Effort
    every: Effort
    exact: bool

    @property
    def tracks(self) -> float:
        """Multiplications executed over those of the mask, in whole vectors."""
        return self.some.executed / self.some.vectors


def sampled(graph: Graph, device: Device) -> Sampled:
    """Train two epochs with the mask of the training nodes' receptive field, and without."""
    options = Options(update="host", epochs=2, mixture=False)
    network = options.network(graph.features.shape[1], graph.classes)
    ordered = order_graph(graph, network, device.config)
    efforts = []
    for masked in (True, False):
        trainer = Trainer(graph, replace(options, sampled=masked), device)
        trainer.run()
        efforts.append(_effort(trainer, ordered))
    some, every = efforts
    exact = some.weights == every.weights and equals_reference(ordered, device)
    return Sampled(seen=ordered.seen, some=some, every=every, exact=exact)


def equals_reference(ordered: OrderedGraph, device: Device) -> bool:
    """Whether masked products along the edges are those rows of SciPy's whole integer ones.

    In the order of the device the masks are the first rows; an operand's other rows are set to
    the largest mantissa, so that one would show.
    """
    rng = np.random.default_rng(0)
    device.clear()
    for columns, rows in zip(ordered.seen[:-1], ordered.seen[1:], strict=True):
        operand = rng.integers(-127, 128, (ordered.adjacency.shape[0], device.config.lanes))
        operand[columns:] = 127
        whole = ordered.adjacency @ operand
        masked = csr_array(ordered.adjacency[:rows, :columns])
        if not np.array_equal(device.spmm(masked, operand[:columns]), whole[:rows]):
            return False
    return True


def labelled(graph: Graph, each: int) -> Graph:
    """Return the graph with so many training nodes of a class, or as many as it has."""
    labels = graph.labels[graph.train]
    kept = np.concatenate([graph.train[labels == label][:each] for label in range(graph.classes)])
    return replace(graph, train=np.sort(kept))


def sampled_products(options: argparse.Namespace, say: Say) -> Measured:
    """M4: masked products equal the masked reference, and their work tracks the mask."""
    cells: list[tuple[object, ...]] = []
    found: list[Sampled] = []
    device_name = "model:demo" if options.device == "model" else options.device
    for graph in graphs_of(options, GRAPHS):
        for each in LABELS:
            mask = labelled(graph, each)
            if each > LABELS[0] and len(mask.train) == found[-1].seen[-1]:
                continue  # There are no more labels.
            say(f"{graph.name}, {len(mask.train)} labels")
            with open_device(device_name, memory_megabytes=64) as device:
                one = sampled(mask, device)
            found.append(one)
            some, every = one.some, one.every
            cells.append(
                (
                    graph.name, len(mask.train), " of ".join(f"{n:,}" for n in one.seen[::-1]),
                    "same" if one.exact else "other", f"{some.necessary:,}",
                    f"{100 * some.necessary / every.necessary:.1f} %", f"{some.vectors:,}",
                    f"{some.executed:,}", f"{one.tracks:.3f}", f"{some.cycles:,}",
                    f"{100 * some.cycles / every.cycles:.1f} %",
                )
            )  # fmt: skip
    exact = all(one.exact for one in found)
    apart = sorted((one.tracks - 1 for one in found), key=abs)
    near = [each for each in apart if abs(each) <= MOST_APART]
    return Measured(
        header=(
            "graph", "labels", "nodes by layer, last first", "bits", "MACs an epoch", "of all",
            "in whole vectors", "executed", "executed / mask", "cycles", "of all",
        ),
        rows=cells, held=[one.exact and abs(one.tracks - 1) <= MOST_APART for one in found],
        asked="equal to the masked reference; work executed tracks the mask within 5 %",
        measured=f"{len(found)} masks: {'all' if exact else 'not all'} bits the same; executed "
        f"multiplications within 5 % of the mask's under {len(near)}, {100 * apart[-1]:+.1f} % at "
        "worst",
        why="" if len(near) == len(found) else "empty rows of a product take an edge each, which "
        "clears their sums: with few labels most features' weight gradients are of no node",
    )  # fmt: skip


def _effort(trainer: Trainer, ordered: OrderedGraph) -> Effort:
    engine, config = trainer.engine, trainer.engine.device.config
    # The array takes as many features at a time as it is high, an element as many as its lanes.
    unit = lcm(config.lanes, config.rows)
    widths = tuple(-(-width // unit) * unit for width in engine.network.widths)
    rows = ordered.seen if trainer.options.sampled else (len(ordered.order),) * len(widths)
    vectors = necessary_macs(
        replace(engine.network, widths=widths), ordered.adjacency, ordered.features, rows
    )
    executed = cycles = 0
    for name in PASSES:
        counters = engine.counters[name]
        macs = counters["edges"] * config.lanes
        macs += counters["transform_rows"] * config.rows * config.columns
        executed += macs // engine.runs[name]
        measured = counters["cycles"] // engine.runs[name]
        cycles += measured or predict(getattr(engine.lowered, name), config).cycles
    return Effort(
        necessary=sum(engine.necessary_macs[name] for name in PASSES),
        vectors=sum(vectors[name] for name in PASSES), executed=executed,
        cycles=cycles, weights=weights_sha256(trainer.weights),
    )  # fmt: skip
