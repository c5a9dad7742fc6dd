# SPDX-License-Identifier: Apache-2.0
"""Small programs of one kind of command each, for holding predictions against measurements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.programs.program import Program
from gcnloom.tensors.items import pack_beats, pack_order
from gcnloom_sim.cycles.closed import interval
from gcnloom_sim.cycles.timing import Timing
from gcnloom_sim.cycles.update_cases import losses, moved, scales, steps
from gcnloom_spec.commands import Aggregate, Command, Drain, Emission, Load, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE, Destination, Mode, Source, Target, Unit
from gcnloom_spec.items import edge_word, order_word

__all__ = ["COUNTS", "REPEATS", "Case", "cases"]

COUNTS = (1, 8, 40, 120)
"""Items of a command: few, some, many, more; cut where a memory is smaller."""
LEAST_STEP = 8
"""Vectors of a weight step; smaller ones, back to back, are only predicted to ten per cent."""
REPEATS = 40
"""Commands of the kind in each program."""
EDGES_AT, STORED_AT, CASE_WORDS = 1024, 2048, 4096
"""Where edges and results lie, and how many memory words there are."""
RANDOM = ", random bits"
ENDINGS: dict[str, dict[str, int]] = {
    "": {},
    RANDOM: {"stochastic": 1, "dropout": 1},
    ", to left": {"destination": Destination.LEFT},
    ", stored": {"store": 1},
    ", stored raw": {"store": 1, "raw": 1},
}


READING = 8
"""Of so many beats all but one read sums, where drains run beside aggregates."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of command, repeated.

    Attributes
    ----------
    name : str
    count : int
        Items of each command.
    commands : tuple of Command
        What is repeated: the command, after its store or the aggregate beside it if it has one.
    parts : int
        Drain-order entries of a row; 0 where nothing is drained.
    edges : bool
        Whether the aggregate has edges, which hold the drain up.
    """

    name: str
    count: int
    commands: tuple[Command, ...]
    parts: int = 0
    edges: bool = False

    def interval(self, timing: Timing) -> int | None:
        """Cycles from one command to the next; None if there is no closed form."""
        if self.edges:
            return None
        return max(interval(command, timing) for command in self.commands)

    def program(self, config: AcceleratorConfig, base: int, repeats: int = REPEATS) -> Program:
        """Program whose data lie from memory word `base` on."""
        loads, commands = [], [_moved(command, base) for command in self.commands] * repeats
        if self.edges:
            loads.append(_load(Target.EDGES, self.count, base + EDGES_AT, Unit.AGGREGATE))
            commands[0] = replace(commands[0], waits=1 << Unit.LOAD)
        if self.parts:
            loads.append(_load(Target.ORDER, self.count, base, Unit.DRAIN))
            first = next(index for index, item in enumerate(commands) if isinstance(item, Drain))
            commands[first] = replace(commands[first], waits=1 << Unit.LOAD)
        commands = [*loads, *commands]
        edges = _edges(config, self.count)
        contents = {
            index: edges
            for index, command in enumerate(commands)
            if self.edges and isinstance(command, Aggregate)
        }
        return Program.of(commands, config.digest, contents)

    def measure(self, device: Device, repeats: int = REPEATS) -> tuple[Program, dict[str, int]]:
        """Run on `device`, which is cleared; return the program and the counters."""
        config = device.config
        device.clear()
        base = device.memory.allocate("case", CASE_WORDS)
        device.write_bytes(base, bytes(CASE_WORDS * config.memory_bytes))
        if self.parts:
            ends = (np.arange(1, self.count + 1) % self.parts == 0).astype(np.int64)
            entries = order_word(config).pack(
                pe=np.arange(self.count) % config.pes, slot=0 * ends, last=ends
            )
            device.write_bytes(base, pack_order(config, entries[:, 0]))
        if self.edges:
            edges = pack_beats(config, _edges(config, self.count))
            device.write_bytes(base + EDGES_AT, edges)
        program = self.program(config, base, repeats)
        return program, device.run(program).counters


def _load(target: Target, count: int, address: int, unit: Unit) -> Load:
    return Load(target=target, base=0, count=count, address=address, signals=1 << unit)


def _edges(config: AcceleratorConfig, count: int) -> NDArray[np.uint64]:
    """Beats of which all but every eighth read sums; not the first, which follow others."""
    beat = np.arange(count)
    reads = (beat >= HAZARD_DISTANCE) & ((beat - HAZARD_DISTANCE) % READING > 0)
    # At the hazard distance sums come back by themselves: one more.
    slots = beat % (HAZARD_DISTANCE + 1)
    return edge_word(config).pack(
        column=np.arange(config.pes), slot=slots[:, np.newaxis], weight=1, first=0,
        valid=reads[:, np.newaxis],
    )[..., 0]  # fmt: skip


def _moved(command: Command, base: int) -> Command:
    if isinstance(command, Load | Store):
        return replace(command, address=base + (STORED_AT if isinstance(command, Store) else 0))
    return moved(command, base)


def cases(config: AcceleratorConfig, counts: Sequence[int] = COUNTS) -> Iterator[Case]:
    """Every kind of command, with every count."""
    for count in counts:
        yield from _loads(config, count)
        edges = min(count, config.edge_depth)
        command = Aggregate(edge_base=0, count=edges, operand_base=0)
        yield Case(name="AGGREGATE", count=edges, commands=(command,))
        for ending, fields in _endings(config):
            yield _drain(config, count, ending, fields, parts=1)
        yield _drain(config, count, " of split rows", {}, parts=2)
        if count > HAZARD_DISTANCE:
            yield _drain_beside(config, count)
        yield from _transforms(config, count)
        if config.master_width:
            yield from _updates(config, count)


def _endings(config: AcceleratorConfig) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield what may become of sums, by name."""
    for name, fields in ENDINGS.items():
        if name != RANDOM or not config.without_draws:
            yield name, fields


def _loads(config: AcceleratorConfig, count: int) -> Iterator[Case]:
    depths = {
        Target.OPERAND: config.operand_depth,
        Target.EDGES: config.edge_depth,
        Target.PLAIN_EDGES: config.edge_depth,
        Target.ORDER: config.order_depth,
        Target.LEFT: config.left_depth,
        Target.RIGHT: config.right_depth,
        Target.MASK_AGGREGATE: config.mask_depth,
        Target.MASK_TRANSFORM: config.mask_depth,
    }
    for target, depth in depths.items():
        some = min(count, depth)
        command = Load(target=target, base=0, count=some, address=0)
        yield Case(name=f"LOAD {target.name}", count=some, commands=(command,))


def _emitted(
    command: Drain | Transform, source: Source, vectors: int, fields: dict[str, int]
) -> tuple[Command, ...]:
    emission = Emission(vectors=vectors, **fields)
    emitting = replace(command, emission=emission)
    if not emission.store:
        return (emitting,)
    return (Store(source=source, count=vectors, address=0, raw=emission.raw), emitting)


def _drain(
    config: AcceleratorConfig, count: int, ending: str, fields: dict[str, int], *, parts: int
) -> Case:
    count = -(-min(count, config.left_depth, config.order_depth - 1) // parts) * parts
    command = Drain(order_base=0, count=count, emission=Emission(vectors=0))
    commands = _emitted(command, Source.AGGREGATE, count // parts, fields)
    return Case(name=f"DRAIN{ending}", count=count, commands=commands, parts=parts)


def _drain_beside(config: AcceleratorConfig, count: int) -> Case:
    count = min(count, config.edge_depth, config.order_depth)
    command = Aggregate(edge_base=0, count=count, operand_base=0)
    drain = Drain(order_base=0, count=count, emission=Emission(vectors=count))
    return Case(
        name="DRAIN beside AGGREGATE", count=count, commands=(command, drain), parts=1, edges=True
    )


def _transforms(config: AcceleratorConfig, count: int) -> Iterator[Case]:
    count = min(count, config.left_depth, config.right_depth, config.sum_depth)
    for mode in Mode:
        name = f"TRANSFORM {mode.name}"
        vectors = config.rows if mode == Mode.OUTPUT_STATIONARY else count
        command = Transform(mode=mode, count=count)
        if mode != Mode.PASS:
            silent = replace(command, last=0)
            yield Case(name=f"{name}, not last", count=count, commands=(silent,))
        for ending, fields in _endings(config):
            commands = _emitted(command, Source.TRANSFORM, vectors, fields)
            yield Case(name=f"{name}{ending}", count=count, commands=commands)


def _updates(config: AcceleratorConfig, count: int) -> Iterator[Case]:
    for name, commands in (*losses(config, count), *scales()):
        yield Case(name=name, count=count, commands=commands)
    count = min(max(count, LEAST_STEP), config.sum_depth, config.order_depth)
    for name, commands in steps(config, count):
        yield Case(name=name, count=count, commands=commands, parts=int("DRAIN" in name))
