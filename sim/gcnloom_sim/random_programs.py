# SPDX-License-Identifier: Apache-2.0
"""Random but legal programs: every opcode, mode, target and option, with tokens that matter."""

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from gcnloom.programs.access import Access, Reach, accesses_of
from gcnloom.programs.dependence import insert_tokens
from gcnloom.programs.program import Program
from gcnloom.tensors.items import pack_beats, pack_order, pack_plain_beats
from gcnloom_sim.random_choices import Dice, conflict
from gcnloom_sim.random_items import EdgeShadow, random_beats, random_order, touching
from gcnloom_sim.random_transforms import outputs, passing, stationary
from gcnloom_sim.random_updates import Updates, counted
from gcnloom_spec.commands import Aggregate, Command, Drain, Emission, Load, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE, Destination, Source, Target
from gcnloom_spec.items import load_group, load_packing
from gcnloom_spec.number import limits

__all__ = ["MEMORY_BYTES", "random_program"]

MEMORY_BYTES = 1 << 16
MOST_BEATS, MOST_ENTRIES = 160, 300
MOST_TRIES = 8
UNKNOWN = -1


def random_program(
    config: AcceleratorConfig, rng: Generator, commands: int = 40, *, updates_in: int | None = None
) -> tuple[bytes, Program]:
    """Write a random program.

    Parameters
    ----------
    config : AcceleratorConfig
    rng : Generator
        The only source of randomness.
    commands : int
        Least number of commands.
    updates_in : int, optional
        The step in which the program will run; there are losses, weight steps and scales if given.

    Returns
    -------
    memory : bytes
        What device memory holds from word 0 on before the program runs: :data:`MEMORY_BYTES`,
        which is all the program reads and writes. On-chip memories may hold anything.
    program : Program
    """
    updates = None if updates_in is None else Updates(config, rng, updates_in)
    author = _Author(config, rng, updates)
    author.fill()
    while len(author.commands) < commands:
        author.write_some()
    ordered = insert_tokens(author.commands, author.accesses)
    return author.memory, Program.of(ordered, config.digest)


class _Author:
    """Writes legal commands one after the other, remembering what makes the next ones legal."""

    def __init__(self, config: AcceleratorConfig, rng: Generator, updates: Updates | None) -> None:
        self.config, self.rng, self._updates = config, rng, updates
        self._dice = Dice(config, rng)
        self.commands: list[Command] = []
        self.accesses: list[list[Access]] = []
        edges, order = self._sparse_items() if config.sparse else (b"", b"")
        self._order_address = len(edges) // config.memory_bytes
        order += updates.labels if updates else b""
        self._data_address = self._order_address + len(order) // config.memory_bytes
        self._labels_address = self._data_address - (
            len(updates.labels) // config.memory_bytes if updates else 0
        )
        self._end = MEMORY_BYTES // config.memory_bytes
        self._room = (self._end - self._data_address) // config.sums.words(1)
        self.memory = edges + order + rng.bytes(MEMORY_BYTES - len(edges) - len(order))

    def _sparse_items(self) -> tuple[bytes, bytes]:
        """Make what loads for the sparse engine move: edges, and an order of drains."""
        config = self.config
        self._beats = random_beats(config, self.rng, min(MOST_BEATS, config.edge_depth))
        self._entries = random_order(config, self.rng, min(MOST_ENTRIES, config.order_depth))
        self._edges = EdgeShadow(config)
        self._order_last = np.full(config.order_depth, UNKNOWN)
        # Slots of the last beats before the next aggregate.
        self._before = np.zeros((0, config.pes), dtype=np.int64)
        edges = pack_beats(config, self._beats)
        self._plain_address = len(edges) // config.memory_bytes
        edges += pack_plain_beats(config, self._beats)
        return edges, pack_order(config, self._entries)

    def fill(self) -> None:
        """Load something into every memory, so that few results are zero."""
        if self.config.sparse:
            self._load_edges(least=24)
            self._load_order(least=24)
            for target in (Target.OPERAND, Target.MASK_AGGREGATE):
                self._load_vectors(target, least=24)
        if self.config.mask_depth:
            self._load_vectors(Target.MASK_TRANSFORM, least=24)
        for bank in range(self.config.left_banks):
            self._load_vectors(Target.LEFT, least=24, bank=bank)
        for bank in range(self.config.right_banks):
            self._load_vectors(Target.RIGHT, least=24, bank=bank)

    def write_some(self) -> None:
        """Write one command, or a few that belong together."""
        if self._updates and self._dice.flag(0.3):
            self._update(self._updates)
            return
        makers = [self._load, self._aggregate, self._drain, self._stationary, self._outputs]
        makers.append(self._pass)
        odds = np.array([0.35, 0.15, 0.15, 0.15, 0.1, 0.1])
        odds[1:3] *= self.config.sparse
        odds[4] *= not self.config.compact
        makers[self.rng.choice(len(makers), p=odds / odds.sum())]()

    def _update(self, updates: Updates) -> None:
        if self._dice.flag(0.6):
            self._append(updates.scale())
        elif loss := updates.loss(self._data, self._labels_address):
            self.commands.append(loss[0])
            self.accesses.append(loss[1])

    def _append(self, command: Command, reach: Reach | None = None) -> None:
        self.commands.append(command)
        self.accesses.append(accesses_of(command, self.config, reach))

    def _data(self, words: int) -> int:
        return self._data_address + self._dice.place(self._end - self._data_address, words)

    def _load(self) -> None:
        dense = [Target.LEFT, Target.RIGHT, Target.MASK_TRANSFORM]
        targets = (
            list(Target) if self.config.sparse else dense[: 3 if self.config.mask_depth else 2]
        )
        target = targets[int(self.rng.integers(len(targets)))]
        if target in (Target.EDGES, Target.PLAIN_EDGES):
            self._load_edges()
        elif target == Target.ORDER:
            self._load_order()
        else:
            self._load_vectors(target)

    def _load_edges(self, least: int = 0) -> None:
        plain = not least and self._dice.flag(0.4)
        target = Target.PLAIN_EDGES if plain else Target.EDGES
        packing = load_packing(self.config, target)
        start = int(self.rng.integers(len(self._beats)))
        start -= start % packing.items_per_word
        count = self._several(len(self._beats) - start, least)
        base = 0 if least else self._place(Target.EDGES, self.config.edge_depth, count)
        self._edges.load(base, self._beats[start : start + count])
        address = packing.words(start) + (self._plain_address if plain else 0)
        weight = int(self.rng.choice(limits(self.config.operand_width)))
        self._append(Load(target=target, base=base, count=count, address=address, weight=weight))

    def _load_order(self, least: int = 0) -> None:
        packing = self.config.order
        start = int(self.rng.integers(len(self._entries)))
        start -= start % packing.items_per_word
        count = self._several(len(self._entries) - start, least)
        base = 0 if least else self._place(Target.ORDER, self.config.order_depth, count)
        entries = self._entries[start : start + count]
        last_bit = np.uint64(self.config.order_bits - 1)
        self._order_last[base : base + count] = (entries >> last_bit).astype(np.int64)
        address = self._order_address + packing.words(start)
        self._append(Load(target=Target.ORDER, base=base, count=count, address=address))

    def _place(self, target: Target, depth: int, count: int) -> int:
        base = self._dice.place(depth, count)
        return base - base % load_group(self.config, target)

    def _several(self, limit: int, least: int) -> int:
        return min(limit, max(least, self._dice.count(limit)))

    def _load_vectors(self, target: Target, *, least: int = 0, bank: int | None = None) -> None:
        config = self.config
        depth = {
            Target.OPERAND: config.operand_depth,
            Target.LEFT: config.left_depth,
            Target.RIGHT: config.right_depth,
        }.get(target, config.mask_depth)
        banks = {Target.LEFT: config.left_banks, Target.RIGHT: config.right_banks}.get(target, 1)
        room = (self._end - self._data_address) * config.vector.items_per_word
        count = self._several(min(depth, room), least)
        base = 0 if least else self._place(target, depth, count)
        address = self._data(config.vector.words(count))
        bank = int(self.rng.integers(banks)) if bank is None else bank
        self._append(Load(target=target, base=base, count=count, address=address, bank=bank))

    def _aggregate(self) -> None:
        config = self.config
        base = int(self.rng.choice(np.flatnonzero(self._edges.loaded)))
        count = self._edges.legal(base, self._dice.count(config.edge_depth))
        rows = self._edges.columns(base, count)
        operand_base = min(self._dice.place(config.operand_depth, rows), config.operand_depth - 1)
        operand_base -= operand_base % (config.operand_banks or 1)
        slots = self._edges.slots(base, count)
        for _ in range(MOST_TRIES):
            slot_base = self._slot_base()
            moved = np.where(slots < 0, slots, slots + slot_base)
            if not touching(self._before, moved):
                break
        else:
            return
        self._before = np.concatenate([self._before, moved])[1 - HAZARD_DISTANCE :]
        command = Aggregate(
            edge_base=base, count=count, operand_base=operand_base, slot_base=slot_base
        )  # fmt: skip
        reach = Reach(rows=rows, slots=int(slots.max()) + 1)
        self._append(command, None if self._dice.flag(0.3) else reach)

    def _slot_base(self) -> int:
        return self._dice.place(self.config.accumulator_depth, self.config.accumulator_depth // 2)

    def _drain(self) -> None:
        ends = np.flatnonzero(self._order_last == 1)
        if not len(ends):
            self._load_order()
            return
        end = int(ends[self.rng.integers(len(ends))]) + 1
        unknown = np.flatnonzero(self._order_last[:end] == UNKNOWN)
        count = self._dice.count(end - int(unknown[-1]) - 1 if len(unknown) else end)
        vectors = int(self._order_last[end - count : end].sum())
        emission = self._dice.emission(vectors, self._room)
        command = Drain(
            order_base=end - count, count=count, emission=emission, slot_base=self._slot_base()
        )
        self._emit(command, Source.AGGREGATE)

    def _stationary(self) -> None:
        command = stationary(self._dice)
        self._transform(command, command.count)

    def _outputs(self) -> None:
        """One to three commands that accumulate in the array, loads between them."""
        parts = int(self.rng.integers(1, 3, endpoint=True))
        complete = self._dice.flag(0.9)
        for part in range(parts):
            last = complete and part == parts - 1
            command = outputs(self._dice, first=int(part == 0), last=int(last))
            self._transform(command, self.config.rows)
            if self._dice.flag(0.5):
                self._load()

    def _pass(self) -> None:
        command = passing(self._dice)
        self._transform(command, command.count)

    def _transform(self, command: Transform, vectors: int) -> None:
        if not command.last:
            self._append(command)
            return
        emitting = replace(command, emission=self._dice.emission(vectors, self._room))
        touched = accesses_of(emitting, self.config)
        if any(conflict(a, b) for a in touched if a.write for b in touched if not b.write):
            quiet = replace(emitting.emission, destination=Destination.NONE)
            emitting = replace(emitting, emission=quiet)
        self._emit(emitting, Source.TRANSFORM)

    def _emit(self, command: Drain | Transform, source: Source) -> None:
        """Append an emitting command, with its store and its step before it."""
        if self._updates and command.emission.vectors:
            self._emit_for(self._updates, command, source)
            return
        self._store(command.emission, source)
        self._append(command)

    def _emit_for(self, updates: Updates, command: Drain | Transform, source: Source) -> None:
        """Append an emitting command that counts for a scale, may have one, and may be stepped."""
        scaled = self._dice.flag(0.4)
        emission = replace(command.emission, tensor=updates.tensor(), scaled=scaled)
        self._store(emission, source)
        stored = self.accesses[-1] if emission.store else []
        step = None
        if emission.raw or (not emission.store and self._dice.flag(0.4)):
            step = updates.steps(source, emission.vectors, self._data, stored)
        if step:
            emission = replace(
                emission, step=1, raw=1, destination=Destination.NONE, destination_base=0,
                destination_bank=0,
            )  # fmt: skip
            self.commands.append(step[0])
            self.accesses.append(step[1])
        self._append(replace(command, emission=emission))
        self.accesses[-1].append(counted(emission.tensor))

    def _store(self, emission: Emission, source: Source) -> None:
        if emission.store:
            packing = self.config.sums if emission.raw else self.config.vector
            address = self._data(packing.words(emission.vectors))
            self._append(
                Store(source=source, count=emission.vectors, address=address, raw=emission.raw)
            )
