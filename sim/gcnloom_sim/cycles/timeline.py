# SPDX-License-Identifier: Apache-2.0
"""Cycles of a program: its commands on the timelines of the four units."""

from collections import deque
from dataclasses import dataclass

from gcnloom.programs.program import Program
from gcnloom_hw.core import QUIET_CYCLES
from gcnloom_hw.epilogue.statistics import Statistics
from gcnloom_sim.cycles.compute import ComputeUnit
from gcnloom_sim.cycles.memory import Fetch, LoadUnit, StoreUnit
from gcnloom_sim.cycles.timing import ENGINE_TO_SUMS, QUEUE, Issue, Timing
from gcnloom_spec.commands import Aggregate, Command, Drain, Emission, Load, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Source, Unit
from gcnloom_spec.registers import STATISTICS

__all__ = ["Prediction", "predict"]

LATENCY = 8
"""Cycles from a read request to its answer, as the Verilated device has it."""
QUIET = Emission(vectors=0)
ENDING = QUIET_CYCLES - 1
"""Cycles from the last movement to the end of the count."""


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
    """Deals commands in program order and executes them, in the same order, as late as it can.

    What a command depends on is known when it executes; what it holds up, fetches above all,
    had better be known too, so that it waits until a queue is full. A store ends with a later
    command: until then it is pending.
    """

    def __init__(self, config: AcceleratorConfig, latency: int, commands: int) -> None:
        self.timing = timing = Timing(config)
        self.depth = config.command_depth
        self.load = LoadUnit(timing, latency)
        self.store = StoreUnit(timing)
        self.aggregate = ComputeUnit(
            timing,
            latency=ENGINE_TO_SUMS,
            depth=timing.aggregate_depth,
            source=Source.AGGREGATE,
            stores=self.store,
        )
        self.transform = ComputeUnit(
            timing,
            latency=timing.transform_latency,
            depth=timing.transform_depth,
            source=Source.TRANSFORM,
            stores=self.store,
        )
        self.backlog: deque[tuple[Command, float]] = deque()
        self.ready: float | None = None
        self.admitted = False
        self.tokens: list[list[deque[float]]] = [[deque() for _ in Unit] for _ in Unit]
        self.gone: list[list[float]] = [[] for _ in Unit]
        self.dealt = [0] * len(Unit)
        self.waiting = [0.0] * len(Unit)
        self.end = 0.0
        self.fetch = Fetch(timing, commands, self.arrival)
        self.fetch.unpack()

    def arrival(self, asked: float) -> tuple[float, float]:
        """Return when a command's word is asked for and arrives, in turn with loads."""
        under_way = None
        while self.backlog and self.backlog[0][1] + QUEUE < asked:
            command = self.backlog[0][0]
            if isinstance(command, Load):
                under_way = self.load.plan(command, self._ready())
                if under_way.last_ask >= asked:
                    return self.load.fetch(asked, under_way)
            self.execute()
        return self.load.fetch(asked, None)

    def deal(self, command: Command) -> None:
        """Put a command into its unit's queue."""
        unit = command.unit
        leaving = self.dealt[unit] - self.depth
        while self.backlog and len(self.gone[unit]) <= leaving:
            if not self._admit():
                self.execute()
        known = 0 <= leaving < len(self.gone[unit])
        dealt = self.fetch.deal(self.gone[unit][leaving] + 1 if known else 0.0)
        self.dealt[unit] += 1
        self.backlog.append((command, dealt))
        self.fetch.unpack()

    def _admit(self) -> bool:
        """Let the oldest command leave its queue if it is a load; it executes later."""
        command = self.backlog[0][0]
        if self.admitted or not isinstance(command, Load):
            return False
        self.gone[command.unit].append(self.load.plan(command, self._ready()).accepted)
        self.admitted = True
        return True

    def execute(self) -> None:
        """Execute the oldest command that has been dealt."""
        self._admit()
        ready = self._ready()
        command, _ = self.backlog.popleft()
        self.ready, self.admitted = None, False
        match command:
            case Load():
                self._done(command, self.load.run(command, ready))
            case Aggregate():
                issue = self.timing.aggregate(command)
                self._compute(self.aggregate, command, issue, QUIET, ready)
            case Drain():
                issue = self.timing.drain(command)
                self._compute(self.aggregate, command, issue, command.emission, ready)
            case Transform():
                issue = self.timing.transform(command)
                emission = command.emission if command.last else QUIET
                self._compute(self.transform, command, issue, emission, ready)
            case Store():
                self.store.expect(command, ready)

    def _compute(
        self, unit: ComputeUnit, command: Command, issue: Issue, emission: Emission, ready: float
    ) -> None:
        gone, done, stores = unit.run(issue, emission, ready)
        self.gone[command.unit].append(gone)
        self._done(command, done)
        # The end of the program waits for the statistics of the last vector.
        self.end = max(self.end, done + Statistics.latency - 1)
        for store, end in stores:
            self.gone[store.unit].append(end)
            self._done(store, end)

    def _ready(self) -> float:
        """Return when the oldest command has come to the end of its queue and has its tokens."""
        if self.ready is None:
            command, dealt = self.backlog[0]
            unit = command.unit
            gone = self.gone[unit]
            offered = max(dealt + QUEUE, gone[-1] + 1 if gone else 0.0)
            self.ready = offered
            for giver in Unit:
                if command.waits >> giver & 1:
                    tokens = self.tokens[giver][unit]
                    if not tokens:
                        raise ValueError(
                            f"{command} waits for a token that no command before it leaves; "
                            "insert the tokens again"
                        )
                    self.ready = max(self.ready, tokens.popleft() + self.timing.settle)
            self.waiting[unit] += self.ready - offered
        return self.ready

    def _done(self, command: Command, done: float) -> None:
        self.end = max(self.end, done)
        for taker in Unit:
            if command.signals >> taker & 1:
                self.tokens[command.unit][taker].append(done)

    def prediction(self) -> Prediction:
        """Return the totals, once everything has executed."""
        return Prediction(
            cycles=round(max(self.end, STATISTICS) + ENDING),
            active={
                "load": round(self.load.active),
                "aggregate": round(self.aggregate.active),
                "transform": round(self.transform.active),
                "store": round(self.store.active),
            },
            waiting={unit.name.lower(): round(self.waiting[unit]) for unit in Unit},
            stalled={
                "load": round(self.load.stalled),
                "aggregate": round(self.aggregate.stalled),
                "transform": round(self.transform.stalled),
                "store": round(self.store.stalled),
            },
        )


def predict(program: Program, config: AcceleratorConfig, latency: int = LATENCY) -> Prediction:
    """Predict how many cycles a program takes, without running it.

    Parameters
    ----------
    program : Program
    config : AcceleratorConfig
        Of the accelerator that would run it.
    latency : int
        Cycles from a memory read to its answer.
    """
    timeline = _Timeline(config, latency, len(program))
    for command in program.commands:
        timeline.deal(command)
    while timeline.backlog:
        timeline.execute()
    return timeline.prediction()
