# SPDX-License-Identifier: Apache-2.0
"""Cycles of a program: its commands on the timelines of the five units."""

from collections import deque
from dataclasses import dataclass

from gcnloom.programs.program import Program
from gcnloom_hw.core import QUIET_CYCLES
from gcnloom_hw.epilogue.statistics import Statistics
from gcnloom_sim.cycles.compute import TransformUnit
from gcnloom_sim.cycles.drain import DrainUnit
from gcnloom_sim.cycles.epilogue import Ended, EpilogueUnit
from gcnloom_sim.cycles.fabric import Fabric
from gcnloom_sim.cycles.gates import Gate, Tokens
from gcnloom_sim.cycles.reading import Fetch, LoadUnit
from gcnloom_sim.cycles.sharing import memory_port
from gcnloom_sim.cycles.sparse import AggregateUnit
from gcnloom_sim.cycles.store import StoreUnit
from gcnloom_sim.cycles.timing import GATE_READ, QUEUE, REQUESTS, Timing
from gcnloom_sim.memory import IDEAL, Memory, memory_model
from gcnloom_spec.commands import Aggregate, Command, Drain, Load, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Source, Unit
from gcnloom_spec.registers import STATISTICS

__all__ = ["Prediction", "predict"]

FETCH, LOAD = range(2)
"""Clients of the memory port."""
STARTING = 1
"""Cycles from the start of the count to that of all units."""
ENDING = QUIET_CYCLES
"""Cycles from the one after the last movement to the end of the count."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted counters of one run.

    Attributes
    ----------
    cycles : int
    active, waiting, stalled : dict[str, int]
        By unit, as the performance counters: moving data; waiting for tokens; executing
        without moving data.
    """

    cycles: int
    active: dict[str, int]
    waiting: dict[str, int]
    stalled: dict[str, int]


class _Timeline:
    """Fetch, dealing and loads cycle by cycle; between them, engines and stores by command.

    A command of an engine is timed as a whole when it comes to the engine, and a store with the
    command that emits to it.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        memory: Memory,
        program: Program,
        address: int | None = None,
    ) -> None:
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
        self.fetch = Fetch(timing, len(commands))
        self.port = memory_port(memory, timing, commands, address)
        self.tokens = Tokens(timing.settle)
        self.gates = [Gate(config.command_depth, unit, self.tokens) for unit in Unit]
        fabric = Fabric()
        self.load, self.store = LoadUnit(timing, fabric), StoreUnit(timing, self.port)
        self.aggregate = AggregateUnit(timing)
        sums = EpilogueUnit(timing, source=Source.AGGREGATE, stores=self.store, fabric=fabric)
        self.drain = DrainUnit(timing, self.aggregate, sums)
        sums = EpilogueUnit(timing, source=Source.TRANSFORM, stores=self.store, fabric=fabric)
        self.transform = TransformUnit(timing, sums)
        self.unexpected: deque[Store] = deque()
        self.now = 0
        self.end = 0.0

    def run(self) -> None:
        """Let the program come to its end."""
        while self._busy():
            self.now += 1
            if self._step():
                continue
            later = [time for gate in self.gates for time in gate.events(self.now)]
            later += [*self.port.events(self.now), *self.drain.events(self.now)]
            if not later:
                self._refuse()
            self.now = min(later) - 1
        self.end = max(self.end, self.port.written)

    def _busy(self) -> bool:
        """Whether a command is not at its end, or a word not written."""
        if self.undealt or not self.load.idle or not self.drain.idle or self.port.writing:
            return True
        return any(gate.busy for gate in self.gates)

    def _step(self) -> bool:
        """Execute one cycle; return whether anything moved or may move in the next."""
        now, port = self.now, self.port
        rooms = [gate.room for gate in self.gates]
        asking = [waiting < REQUESTS for waiting in port.waiting]
        answer, free = port.answer(now), self.load.free
        arrives = answer == LOAD and self.load.room
        moved = port.step(now, take=answer == FETCH or arrives)

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
        if ended is not None:
            self._done(ended, now + QUEUE)
        return moved or changed or asks or wants or loading

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
                    self.port.load(command.address, packing.words(command.count))
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
        stores, drained = self.drain.step(self.now)
        self._ended(stores)
        for drain, done in drained:
            self._emitted(drain, done)
        return accepted, bool(stores or drained)

    def _stored(self, command: Drain | Transform) -> bool:
        """Whether there are stores for what a command emits; they are its then."""
        emission = command.emission
        if isinstance(command, Transform) and not command.last:
            return True
        source = Source.AGGREGATE if isinstance(command, Drain) else Source.TRANSFORM
        if emission.store and not self.store.covers(source, emission.vectors):
            return False
        self.store.promise(source, emission.vectors if emission.store else 0)
        return True

    def _emitted(self, command: Command, done: float) -> None:
        self._done(command, done)
        # The end of the program waits for the statistics of the last vector, which begin in
        # the cycle after it entered the queue that it left now.
        self.end = max(self.end, done - QUEUE + 1 + Statistics.latency)

    def _ended(self, stores: Ended) -> None:
        for store, end in stores:
            self.gates[Unit.STORE].leave(end)
            self._done(store, end)

    def _done(self, command: Command, done: float) -> None:
        self.end = max(self.end, done)
        self.tokens.give(command.unit, command.signals, done)

    def _refuse(self) -> None:
        """Say what the program waits for in vain."""
        for gate in self.gates:
            gate.refuse()
        raise ValueError(
            "the program emits vectors that no store before it takes; "
            "put the store before the command that emits to it"
        )

    def prediction(self) -> Prediction:
        """Return the totals, once everything has executed."""
        units: dict[str, LoadUnit | AggregateUnit | DrainUnit | TransformUnit | StoreUnit] = {
            "load": self.load,
            "aggregate": self.aggregate,
            "drain": self.drain,
            "transform": self.transform,
            "store": self.store,
        }
        return Prediction(
            cycles=round(max(self.end, STATISTICS) + STARTING + ENDING),
            active={name: round(unit.active) for name, unit in units.items()},
            waiting={unit.name.lower(): round(self.gates[unit].waited) for unit in Unit},
            stalled={name: round(unit.stalled) for name, unit in units.items()},
        )


def predict(
    program: Program,
    config: AcceleratorConfig,
    memory: str | Memory = IDEAL,
    address: int | None = None,
) -> Prediction:
    """Predict how many cycles a program takes, without running it.

    Parameters
    ----------
    program : Program
        Beside aggregates whose `contents` it does not know, drains are taken to be held up by
        nothing; rows of a drain that it does not know to end at even distances.
    config : AcceleratorConfig
        Of the accelerator that would run it.
    memory : str or Memory
        How long the memory takes, see :func:`gcnloom_sim.memory.memory_model`.
    address : int, optional
        Word from which on the program lies in it, which decides whose rows of a DRAM commands
        close; behind all that the program reaches, if not given.
    """
    timeline = _Timeline(config, memory_model(memory), program, address)
    timeline.run()
    return timeline.prediction()
