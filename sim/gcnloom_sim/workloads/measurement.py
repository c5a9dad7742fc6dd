# SPDX-License-Identifier: Apache-2.0
"""A row measured: cycles on the RTL, predicted and ideal ones, idle causes, bytes by stream."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gcnloom.device import Device
from gcnloom.graphs.graph import Graph
from gcnloom.training.device_trainer import DeviceTrainer
from gcnloom.training.engine import Engine
from gcnloom.training.passes import MOST_REPEATS
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import first_weights
from gcnloom_sim.cycles import Prediction, predict
from gcnloom_sim.workloads.rows import Row
from gcnloom_sim.workloads.runs import RUN_EPOCHS, per_epoch, predicted_epochs, routine_of
from gcnloom_sim.workloads.traffic import IDEAL, byte_counts, port_cycles
from gcnloom_spec.isa import Unit

__all__ = ["Measurement", "measure"]

SETTLED_EPOCHS = 2
"""Epochs that are trained; the last one is measured."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a row came to.

    Attributes
    ----------
    row : Row
    memory : str
        Model of the memory behind the port.
    nodes, edges : int
        Of the graph, self loops not counted.
    multipliers, port_bytes : int
    cycles : int or None
        On the device, from start to end of the passes, loads and drains included; None where
        nothing ran or the device has no clock.
    predicted : int
    necessary : int
        Multiplications no exact engine could leave out.
    units : dict[str, dict[str, int]]
        Cycles of each unit: active, stalled, and waiting for each other one. Measured where
        `cycles` is, else predicted, with one ``wait`` for all.
    bytes : dict[str, int]
        Through the memory port, by stream.
    edges_multiplied : int
        Non-zeros times slices of as many features as a processing element has lanes.
    seconds : dict[str, float]
        ``lower`` (order, schedule and lower), ``predict`` and ``run``, every run of the device.
    """

    row: Row
    memory: str
    nodes: int
    edges: int
    multipliers: int
    port_bytes: int
    cycles: int | None
    predicted: int
    necessary: int
    units: dict[str, dict[str, int]]
    bytes: dict[str, int]
    edges_multiplied: int
    seconds: dict[str, float]

    @property
    def known(self) -> int:
        """Cycles measured, or else predicted."""
        return self.cycles or self.predicted

    @property
    def error(self) -> float | None:
        """Of the prediction, relative to what was measured."""
        return self.predicted / self.cycles - 1 if self.cycles else None

    @property
    def ideal(self) -> int:
        """Cycles of all multipliers at necessary work only."""
        return -(-self.necessary // self.multipliers)

    @property
    def utilisation(self) -> float:
        """Effective: necessary multiplications over cycles times multipliers."""
        return self.necessary / (self.known * self.multipliers)

    @property
    def bytes_per_cycle(self) -> float:
        """Through the memory port, on average."""
        return sum(self.bytes.values()) / self.known

    @property
    def memory_cycles(self) -> int:
        """Cycles of the memory port alone: its side of the roofline."""
        return port_cycles(self.read, self.written, self.port_bytes, self.memory)

    @property
    def read(self) -> int:
        """Bytes of all streams that are no writes."""
        return sum(self.bytes.values()) - self.written

    @property
    def written(self) -> int:
        """Bytes of stores, and of what the update unit writes."""
        return self.bytes.get("store", 0) + self.bytes.get("update", 0)

    @property
    def bytes_per_edge(self) -> float | None:
        """Bytes of the edge stream for each edge that was multiplied."""
        if not self.edges_multiplied:
            return None
        return self.bytes.get("edges", 0) / self.edges_multiplied

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        row = self.row
        return {
            "row": row.name,
            "data": row.data,
            "config": row.config,
            "work": row.work,
            "options": dict(row.options),
            "memory": self.memory,
            "nodes": self.nodes,
            "edges": self.edges,
            "multipliers": self.multipliers,
            "port_bytes": self.port_bytes,
            "cycles": self.cycles,
            "predicted_cycles": self.predicted,
            "prediction_error": self.error,
            "ideal_cycles": self.ideal,
            "necessary_macs": self.necessary,
            "effective_utilisation": self.utilisation,
            "units": self.units,
            "bytes": self.bytes,
            "bytes_per_cycle": self.bytes_per_cycle,
            "memory_cycles": self.memory_cycles,
            "edges_multiplied": self.edges_multiplied,
            "bytes_per_edge": self.bytes_per_edge,
            "seconds": self.seconds,
        }


def measure(
    row: Row, graph: Graph, device: Device, *, memory: str = IDEAL, run: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Measurement:  # fmt: skip
    """Lower a row for a device, predict it and, unless told not to, run it.

    Of inference the first pass with settled shifts counts, of training the second epoch.

    Parameters
    ----------
    row : Row
    graph : Graph
    device : Device
        Its memory is cleared.
    memory : str
        Model of the memory that the device was opened with.
    run : bool
    progress : callable
        Told a phrase when something begins that may take long.
    """
    begin = time.perf_counter()
    progress(f"{row.name}: scheduling and lowering")
    resident: DeviceTrainer | None = None
    if row.work == "run":
        options = replace(row.training(), epochs=RUN_EPOCHS, patience=0)
        resident, routine = routine_of(graph, options, device)
        trainer, engine = None, resident.engine
        programs = [part.program for part in routine.parts[1:]]
    else:
        trainer, engine = _lowered(row, graph, device)
        programs = [getattr(engine.lowered, name) for name in row.passes]
    lowered = time.perf_counter()
    progress(f"{row.name}: predicting {sum(map(len, programs)):,} commands")
    if resident is not None:
        predictions = [predicted_epochs(routine, memory)]
    else:
        predictions = [predict(program, device.config, memory) for program in programs]
    cycles = sum(prediction.cycles for prediction in predictions)
    predicted = time.perf_counter()
    counted: Counter[str] = Counter()
    if run:
        progress(f"{row.name}: running {cycles:,} predicted cycles, more than once")
        counted = per_epoch(resident) if resident else _counted(row, engine, trainer)
    static = byte_counts(programs, device.config)
    return Measurement(
        row=row, memory=memory, nodes=graph.nodes, edges=int(graph.adjacency.nnz),
        multipliers=device.config.multipliers,
        port_bytes=device.config.memory_bytes,
        cycles=counted["cycles"] or None, predicted=cycles,
        necessary=sum(engine.lowered.necessary_macs[name] for name in row.passes),
        units=_units(counted) if counted["cycles"] else _predicted_units(predictions),
        bytes=_bytes(counted, device.config.memory_bytes) if counted else static.streams,
        edges_multiplied=counted["edges"] if counted else static.edges,
        seconds={
            "lower": lowered - begin,
            "predict": predicted - lowered,
            "run": time.perf_counter() - predicted,
        },
    )  # fmt: skip


def _lowered(row: Row, graph: Graph, device: Device) -> tuple[Trainer | None, Engine]:
    """Place the row's work on the device; training comes with its trainer."""
    options = row.training()
    if row.work == "epoch":
        trainer = Trainer(graph, replace(options, epochs=SETTLED_EPOCHS, patience=0), device)
        return trainer, trainer.engine
    network = options.network(graph.features.shape[1], graph.classes)
    return None, Engine(
        graph, network, device, seed=options.seed, serial=options.serial, mixture=options.mixture
    )


def _counted(row: Row, engine: Engine, trainer: Trainer | None) -> Counter[str]:
    """Counters of one run of each of the row's passes, once shifts are settled."""
    if trainer is None:
        weights = first_weights(engine.network, row.training().seed)
        for _ in range(MOST_REPEATS):
            before = _total(row, engine)
            engine.forward(weights, step=0, training=False)
            if engine.settled("infer"):
                break
        return _total(row, engine) - before
    totals: list[Counter[str]] = []
    trainer.run(lambda _: totals.append(_total(row, engine)))
    return totals[-1] - totals[-2]


def _total(row: Row, engine: Engine) -> Counter[str]:
    """Copy of the sum of the counters of the row's passes."""
    return sum((engine.counters[name] for name in row.passes), Counter())


def _units(counted: Counter[str]) -> dict[str, dict[str, int]]:
    names = [unit.name.lower() for unit in Unit]
    return {
        name: {
            "active": counted[f"{name}_active"],
            "stalled": counted[f"{name}_stalled"],
            **{f"wait_{other}": counted[f"{name}_wait_{other}"] for other in names},
        }
        for name in names
    }


def _predicted_units(predictions: list[Prediction]) -> dict[str, dict[str, int]]:
    return {
        name: {
            "active": sum(prediction.active[name] for prediction in predictions),
            "stalled": sum(prediction.stalled[name] for prediction in predictions),
            "wait": sum(prediction.waiting[name] for prediction in predictions),
        }
        for name in (unit.name.lower() for unit in Unit)
    }


def _bytes(counted: Counter[str], memory_bytes: int) -> dict[str, int]:
    return {
        name.removesuffix("_words"): count * memory_bytes
        for name, count in counted.items()
        if name.endswith("_words")
    }
