# SPDX-License-Identifier: Apache-2.0
"""Both engines at once against one command after the other, at the same hardware: M5 and M6."""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.training.engine import Engine
from gcnloom.training.weights import first_weights
from gcnloom.transport import configuration
from gcnloom_sim.measure.statements.measured import Measured, Say
from gcnloom_sim.workloads.measurement import Measurement, measure
from gcnloom_sim.workloads.rows import CORA, Row, changed, chosen
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.memories import buffer_bytes

__all__ = ["Overlap", "equal_hardware", "overlap", "pipelined", "reordered"]

BALANCED = chosen(["balanced"])[0]
"""As much work for one engine as for the other, in each layer."""


def _balanced(name: str, data: str, **options: Any) -> Row:
    return replace(BALANCED, name=name, data=data, options=options)


ALIKE = (
    BALANCED,
    _balanced("balanced, 3 layers", BALANCED.data, hidden=64, layers=3),
    _balanced("balanced, 32 wide", "community:1024,34,32,32", hidden=32),
    _balanced("balanced, 128 wide", "community:1024,128,128,128", hidden=128),
    _balanced("balanced, 2,048 nodes, larger", "community:2048,67,64,64", hidden=64),
)
"""Engines of equal work, and buffers that let products stream into each other."""
LARGER = {ALIKE[-1].name: 2}
"""How many times a row's configuration has all buffers."""
OTHERS = (
    replace(ALIKE[-1], name="balanced, 2,048 nodes"),
    *chosen(["cora-epoch-144", "cora-epoch-144-sampled"]),
    Row(name="digits-epoch", data="digits", config="mul144-dense", work="epoch"),
)
"""Engines that wait for loads, for a whole layer, or for the one that has more work."""
SERIAL = "serial"
BASELINES: Mapping[str, Mapping[str, Any]] = {
    SERIAL: {"serial": True},
    "each product on one engine": {"mixture": False},
}
ENGINES = ("aggregate", "transform")
LEAST, MOST_IDLE = 1.8, 0.1


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """A row run both ways.

    Attributes
    ----------
    pipelined, serial : Measurement
    """

    pipelined: Measurement
    serial: Measurement

    @property
    def factor(self) -> float:
        """Serial over pipelined cycles: loads, drains and stores take turns in the former too."""
        return self.serial.known / self.pipelined.known

    @property
    def work(self) -> list[int]:
        """Cycles in which each engine multiplies."""
        return [self.pipelined.units[name]["active"] for name in ENGINES]

    @property
    def gain(self) -> float:
        """Cycles of the engines one after the other, all else for free, over pipelined ones."""
        return sum(self.work) / self.pipelined.known

    @property
    def bound(self) -> float:
        """What the gain could be: 2 where both engines have equal work."""
        return sum(self.work) / max(self.work)

    @property
    def idle(self) -> float:
        """Share of the cycles in which the idler engine does not multiply."""
        return 1 - min(self.work) / self.pipelined.known


def overlap(row: Row, graph: Graph, device: Device, *, run: bool) -> Overlap:
    """Predict a row, or run it, pipelined and serial."""
    both = (
        measure(changed(row, options={"serial": serial}), graph, device, run=run)
        for serial in (False, True)
    )
    return Overlap(**dict(zip(("pipelined", "serial"), both, strict=True)))


def pipelined(options: argparse.Namespace, say: Say) -> Measured:
    """M5: pipelined against serial, idle time, and the bits of any order of the nodes."""
    found = {
        row.name: overlap(row, graph, device, run=options.device != "model")
        for row, graph, device in _opened(ALIKE + OTHERS, options, say)
    }
    orders = _orders(say)
    cells = [_cells(name, each) for name, each in found.items()]
    cells += [(f"balanced, {name}", *("",) * 5, f"{cycles:,}") for name, cycles, _ in orders]
    same = len({logits for _, _, logits in orders}) == 1
    alike = [found[row.name] for row in ALIKE]
    gains = [each.gain for each in alike]
    idle = max(each.idle for each in alike)
    others = ", ".join(
        f"{row.name} {found[row.name].gain:.2f}x of {found[row.name].bound:.2f}"
        for row in OTHERS if row.name in found
    )  # fmt: skip
    return Measured(
        header=("workload", "serial over pipelined", "gain", "bound", "idle", "serial", "cycles"),
        rows=cells,
        held=[*(each.gain >= LEAST and each.idle <= MOST_IDLE for each in alike), same],
        asked=f">= {LEAST}x (bound 2.0), idle <= {100 * MOST_IDLE:.0f} %, the same bits in any "
        "order of the nodes",
        measured=f"{len(alike)} balanced networks whose products stream: {min(gains):.2f} to "
        f"{max(gains):.2f}x over the engines in turn, at least "
        f"{min(each.factor for each in alike):.2f}x over serial commands, idle at most "
        f"{100 * idle:.1f} %; {len(orders)} orders of the nodes leave "
        f"{'the same' if same else 'other'} logits. Where engines wait for loads, for each other "
        f"or for a whole layer: {others}",
    )  # fmt: skip


def equal_hardware(options: argparse.Namespace, say: Say) -> Measured:
    """M6: factors over baselines that have the same multipliers, buffers and memory."""
    cells: list[tuple[object, ...]] = []
    factors = []
    run = options.device != "model"
    for row, graph, device in _opened((BALANCED, *OTHERS), options, say):
        config = device.config
        ours = measure(row, graph, device, run=run)
        for name, changes in BASELINES.items():
            theirs = measure(changed(row, options=dict(changes)), graph, device, run=run)
            if name != SERIAL and theirs.known == ours.known:
                continue  # No product is shared.
            factor = theirs.known / ours.known
            factors.append(f"{row.name} {factor:.2f}x over {name}")
            cells.append(
                (
                    row.name, row.config, config.digest, theirs.multipliers,
                    f"{buffer_bytes(config):,}", config.memory_bytes, name, f"{theirs.known:,}",
                    f"{ours.known:,}", f"{factor:.2f}",
                )
            )  # fmt: skip
    return Measured(
        header=(
            "workload", "configuration", "digest", "multipliers", "bytes of buffers",
            "bytes a cycle", "baseline", "baseline's cycles", "cycles", "factor",
        ),
        rows=cells, held=[bool(factors)],
        asked="the factor published with its baseline, which has the same MACs, memory and "
        "bandwidth",
        measured="one configuration for both: " + "; ".join(factors),
    )  # fmt: skip


def reordered(graph: Graph, order: NDArray[np.int64]) -> Graph:
    """Return the graph with node ``order[i]`` as node i."""
    place = np.argsort(order)
    return replace(
        graph, adjacency=graph.adjacency[order][:, order], features=graph.features[order],
        labels=graph.labels[order], train=place[graph.train], val=place[graph.val],
        test=place[graph.test],
    )  # fmt: skip


def _opened(
    rows: Iterable[Row], options: argparse.Namespace, say: Say
) -> Iterator[tuple[Row, Graph, Device]]:
    for row in rows:
        if row.data == CORA and not options.cora:
            continue
        say(row.name)
        graph = datasets.load(options.cora if row.data == CORA else row.data)
        config = _larger(configuration(row.config), LARGER.get(row.name, 1))
        with open_device(options.device, config, memory_megabytes=row.megabytes) as device:
            yield row, graph, device


def _larger(config: AcceleratorConfig, times: int) -> AcceleratorConfig:
    """Return the configuration with deeper on-chip memories of everything but commands."""
    depths = {
        field.name: getattr(config, field.name) * times for field in fields(config)
        if field.name.endswith("_depth") and field.name != "command_depth"
    }  # fmt: skip
    return replace(config, **depths)


def _cells(name: str, each: Overlap) -> tuple[object, ...]:
    return (
        name, f"{each.factor:.2f}", f"{each.gain:.2f}", f"{each.bound:.2f}",
        f"{100 * each.idle:.1f} %", f"{each.serial.known:,}", f"{each.pipelined.known:,}",
    )  # fmt: skip


def _orders(say: Say) -> list[tuple[str, int, bytes]]:
    """Orders of the balanced graph's nodes: cycles, and the logits in the order of the graph."""
    graph = datasets.load(BALANCED.data)
    degree = np.diff(graph.adjacency.indptr)
    orders = {
        "as generated": np.arange(graph.nodes),
        "by degree": np.argsort(-degree, kind="stable"),
        "at random": np.random.default_rng(0).permutation(graph.nodes),
    }
    found = []
    for name, order in orders.items():
        say(f"{BALANCED.name}, {name}")
        other = reordered(graph, order)
        with open_device("model", configuration(BALANCED.config)) as device:
            cycles = measure(BALANCED, other, device, run=False).known
            network = BALANCED.training().network(graph.features.shape[1], graph.classes)
            engine = Engine(other, network, device)
            logits = engine.forward(first_weights(network, 0), step=0, training=False)
        found.append((name, cycles, logits[np.argsort(order)].tobytes()))
    return found
