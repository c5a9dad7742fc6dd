# SPDX-License-Identifier: Apache-2.0
"""A program's commands on the timelines of the units."""

from collections import deque
from typing import Protocol

from gcnloom.programs.program import Program
from gcnloom_hw.epilogue.statistics import Statistics
from gcnloom_sim.cycles.compute import TransformUnit
from gcnloom_sim.cycles.drain import DrainUnit
from gcnloom_sim.cycles.epilogue import Ended, EpilogueUnit
from gcnloom_sim.cycles.fabric import Fabric
from gcnloom_sim.cycles.gates import Gate, Tokens
from gcnloom_sim.cycles.reading import FETCH, LOAD, LOSS, STEP, Fetch, LoadUnit
from gcnloom_sim.cycles.sharing import memory_port
from gcnloom_sim.cycles.sparse import AggregateUnit
from gcnloom_sim.cycles.store import StoreUnit
from gcnloom_sim.cycles.timing import CLEARING, GATE_READ, QUEUE, REQUESTS, Timing
from gcnloom_sim.cycles.update import UpdateUnit
from gcnloom_sim.memory import Memory
from gcnloom_spec.commands import (
    Aggregate,
    Command,
    Drain,
    Load,
    Loss,
    Scale,
    Step,
    Store,
    Transform,
)
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Source, Unit

__all__ = ["Timeline", "UnitTimes"]


class UnitTimes(Protocol):
    """What is counted of a unit: cycles in which it moved data, or executed without."""

    @property
    def active(self) -> float:
        """Cycles in which data moved."""

    @property
    def stalled(self) -> float:
        """Cycles in which a command executed and no data moved."""


class Timeline:
    """Fetch, dealing and loads cycle by cycle; between them, engines and stores by command.

    A command of an engine is timed as a whole when it comes to the engine, and a store or a weight
    step with the command that emits to it.

    Parameters
    ----------
    config : AcceleratorConfig
    memory : Memory
    program : Program
    address : int, optional
    first : bool
        The program starts a run, and statistics are cleared meanwhile.
    repeats : bool
        A repeat ends the program.

    Attributes
    ----------
    end : float
        When something moved last.
    """

    def __init__(
        self, config: AcceleratorConfig, memory: Memory, program: Program,
        address: int | None = None, *, first: bool = True, repeats: bool = False,
    ) -> None:  # fmt: skip
        commands = list(program.commands)
        self.timing = timing = Timing(config)
        self.undealt = deque(commands)
        self.contents = {
            unit: deque(
                program.contents.get(index)
                for index, command in enumerate(commands)
                if command.unit == unit
            )
            for unit in (Unit.AGGREGATE, Unit.DRAIN)
        }
        self.fetch = Fetch(timing, len(commands) + repeats)
        self.port = memory_port(memory, timing, commands, address)
        self.tokens = Tokens(timing.settle)
        self.gates = [Gate(config.command_depth, unit, self.tokens) for unit in Unit]
        fabric = Fabric()
        self.load, self.store = LoadUnit(timing, fabric), StoreUnit(timing, self.port)
        self.aggregate = AggregateUnit(timing)
        self.update = UpdateUnit(timing, self.port, clearing=first)
        sums, products = (
            EpilogueUnit(
                timing, source=source, stores=self.store, steps=self.update.steps, fabric=fabric,
                clearing=first,
            )
            for source in (Source.AGGREGATE, Source.TRANSFORM)
        )  # fmt: skip
        self.drain = DrainUnit(timing, self.aggregate, sums)
        self.transform = TransformUnit(timing, products)
        self.unexpected: deque[Store] = deque()
        self._repeats = repeats
        self.now = 0
        self.end = CLEARING - 1.0 if first else 0.0

    def run(self) -> None:
        """Let the program come to its end."""
        while self._busy():
            self.now += 1
            if self._step():
                continue
            later = [time for gate in self.gates for time in gate.events(self.now)]
            for part in (self.port, self.drain, self.update):
                later += part.events(self.now)
            if not later:
                self._refuse()
            self.now = min(later) - 1
        self.end = max(self.end, self.port.written, self.update.end)
        if self._repeats:
            self.end = max(self.end, self.now)

    def _busy(self) -> bool:
        """Whether a command is not at its end, or a word not written."""
        if self.undealt or self.port.writing or (self._repeats and not self.fetch.command):
            return True
        idle = self.load.idle and self.drain.idle and self.update.idle and self.store.idle
        return not idle or any(gate.busy for gate in self.gates)

    def _step(self) -> bool:
        """Execute one cycle; return whether anything moved or may move in the next."""
        now, port = self.now, self.port
        rooms = [gate.room for gate in self.gates]
        asking = [waiting < REQUESTS for waiting in port.waiting]
        answer, free = port.answer(now), self.load.free
        arrives = answer == LOAD and self.load.room
        taken = arrives or answer in (FETCH, STEP) or (answer == LOSS and self.update.takes())
        moved = port.step(now, take=taken) or answer == LOSS

        accepted, stirred = self._execute(free)
        moved |= stirred
        for gate in self.gates:
            passed, left = gate.step(now)
            moved |= left or passed is not None
            if isinstance(passed, Store) and passed.waits:
                self.store.expect(self.unexpected.popleft(), now + QUEUE)
                self._expect()
        # The last word of a program may hold more places than commands.
        command = self.undealt[0] if self.undealt and self.fetch.command else None
        deals = command is not None and rooms[command.unit]
        asks, changed = self.fetch.step(deal=deals, arrives=answer == FETCH, room=asking[FETCH])
        if command is not None and deals:
            self._deal(command)
        port.waiting[FETCH] += asks
        wants, ended, loading = self.load.step(
            now, accept=accepted, arrives=arrives, room=asking[LOAD]
        )
        port.waiting[LOAD] += wants
        updated, updating = self.update.step(now, answer=answer if taken else None, room=asking)
        for update, end in updated:
            self._done(update, end)
        if ended is not None:
            self._done(ended, now + QUEUE)
        return moved or changed or asks or wants or loading or updating

    def _deal(self, command: Command) -> None:
        """Put a command into its unit's queue."""
        self.undealt.popleft()
        self.gates[command.unit].put(command, self.now)
        self.end = max(self.end, self.now)
        if isinstance(command, Store):
            self.unexpected.append(command)
            self._expect()

    def _expect(self) -> None:
        """Announce stores, in their order, up to one that has to wait for tokens."""
        while self.unexpected and not self.unexpected[0].waits:
            ready = self.now + QUEUE + GATE_READ + QUEUE
            self.store.expect(self.unexpected.popleft(), ready)

    def _execute(self, free: bool) -> tuple[Load | None, bool]:
        """Let units begin the commands that have come to them.

        Returns the load that begins, and whether what was emitted may let others begin.
        """
        accepted = None
        for gate in self.gates:
            command = gate.offered
            match command:
                case Load() if free:
                    accepted = command
                    packing = self.timing.packing(command.target)
                    self.port.expect(LOAD, command.address, packing.words(command.count))
                    gate.leave(self.now)
                case Aggregate():
                    edges = self.contents[Unit.AGGREGATE].popleft()
                    begun, signal = self.aggregate.run(command, edges, gate.since)
                    gate.leave(begun)
                    self._done(command, signal)
                case Drain() if self.drain.free and self._stored(command):
                    order = self.contents[Unit.DRAIN].popleft()
                    gate.leave(self.drain.begin(command, order, gate.since))
                case Transform() if self._stored(command):
                    left, handed, stores = self.transform.run(command, gate.since)
                    gate.leave(left)
                    self._ended(stores)
                    self._emitted(command, handed)
                case Store():
                    taken = self.store.begin(self.now)
                    if taken is not None:
                        gate.leave(taken)
                case Loss() | Step() | Scale() if self.update.free:
                    gate.leave(self.update.begin(command, gate.since))
        stores, drained = self.drain.step(self.now)
        self._ended(stores)
        for drain, done in drained:
            self._emitted(drain, done)
        return accepted, bool(stores or drained)

    def _stored(self, command: Drain | Transform) -> bool:
        """Whether there are stores and steps for what a command emits; they are its then."""
        emission = command.emission
        if isinstance(command, Transform) and not command.last:
            return True
        source = Source.AGGREGATE if isinstance(command, Drain) else Source.TRANSFORM
        if emission.store and not self.store.covers(source, emission.vectors):
            return False
        steps = self.update.steps
        if emission.step and not steps.covers(source, emission.vectors):
            return False
        self.store.promise(source, emission.vectors if emission.store else 0)
        steps.promise(source, emission.vectors if emission.step else 0)
        return True

    def _emitted(self, command: Command, done: float) -> None:
        self._done(command, done)
        # The end of the program waits for the statistics of the last vector, which begin in
        # the cycle after it entered the queue that it left now.
        self.end = max(self.end, done - QUEUE + 1 + Statistics.latency)

    def _ended(self, stores: Ended) -> None:
        for store, end in stores:
            self._done(store, end)

    def _done(self, command: Command, done: float) -> None:
        self.end = max(self.end, done)
        self.tokens.give(command.unit, command.signals, done)

    def _refuse(self) -> None:
        """Say what the program waits for in vain."""
        for gate in self.gates:
            gate.refuse()
        raise ValueError(
            "the program emits vectors that no store before it takes, or no step; "
            "put these before the command that emits to them"
        )

    def units(self) -> dict[str, UnitTimes]:
        """Return what counts the cycles of each unit, once everything has executed."""
        return {
            "load": self.load,
            "aggregate": self.aggregate,
            "drain": self.drain,
            "transform": self.transform,
            "store": self.store,
            "update": self.update,
        }
