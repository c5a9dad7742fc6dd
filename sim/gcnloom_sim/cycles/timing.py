# SPDX-License-Identifier: Apache-2.0
"""How long commands keep their units, read off the gateware's structure."""

from dataclasses import dataclass
from functools import cached_property

from gcnloom_hw.aggregate.operands import operand_feed
from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_hw.control.gate import ALLOWED
from gcnloom_hw.control.sequencer import FETCH_DEPTH
from gcnloom_hw.control.tokens import SETTLE
from gcnloom_hw.epilogue.epilogue import Epilogue
from gcnloom_hw.epilogue.random_bytes import RandomBytes
from gcnloom_hw.memory.port import OUTSTANDING
from gcnloom_hw.streams.queue import Queue
from gcnloom_hw.transform.accumulate import Accumulator
from gcnloom_hw.transform.array import array_latency
from gcnloom_hw.transform.control import command_cycles
from gcnloom_hw.transform.operands import OperandMemory
from gcnloom_hw.update.exponential import Exponential
from gcnloom_hw.update.gradient import Gradient
from gcnloom_hw.update.lanes import Mark, sum_levels
from gcnloom_hw.update.normalise import Normalise
from gcnloom_hw.update.rows import RowBuffer
from gcnloom_hw.update.scales import READ, READING
from gcnloom_spec.commands import Load, Scale, Transform
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.isa import COMMAND_BYTES, Mode, Rule, Target
from gcnloom_spec.items import load_group, load_packing
from gcnloom_spec.registers import STATISTICS

__all__ = [
    "ACCEPTED",
    "ALLOWED",
    "ARRIVED",
    "ASK_TO_READ",
    "BETWEEN_STEPS",
    "BETWEEN_WRITES",
    "CLEARING",
    "DECODED",
    "FETCH_TO_ASK",
    "GATE_READ",
    "HELD",
    "OUTSTANDING",
    "PENDING",
    "PLACES",
    "PREPARE",
    "QUEUE",
    "READ_TO_TAKEN",
    "REQUESTS",
    "RESTART",
    "RESULTS",
    "TRANSFERS",
    "TURN",
    "Issue",
    "Timing",
]

QUEUE = Queue.latency
"""Cycles through an empty queue."""
DECODED = 1
"""Commands that are decoded and wait for room in their unit's queue."""
GATE_READ = 1
"""Cycles in which a gate reads what the command that has come to it waits for."""
PENDING = 2
"""Addresses granted that wait for the memory."""
REQUESTS = 2
"""Requests that wait for their client's turn on the memory port."""
ARRIVED = 2
"""Words that wait in the load unit, behind the memory port."""
PREPARE = 3
"""Cycles from taking an emission to its first vector; none issues in them."""
RESTART = 2
"""Cycles from a store's end to the first vector of the next store."""
TURN = 1
"""Cycles until the memory port takes words of another that writes."""
TRANSFERS = 4
"""Loads whose words have been asked for, or are being asked for."""
FETCH_TO_ASK = 3
"""Cycles from reading a drain's entry to the asking for its word."""
ASK_TO_READ = 2
"""Cycles from asking for a word to the beat in which it is read."""
PLACES = ProcessingElement.depth - 2
"""Words that an element is asked for ahead; for two more there is room, in case."""
READ_TO_TAKEN = 4
"""Cycles from the beat in which a word is read to its taking."""
GATHERED = 1
"""Cycles from a vector's last word to the vector, in a loss."""
PEAKED = 2
"""Cycles to a row's largest logit, beyond those of the tree over the lanes."""
ADDED = 1
"""Cycles to the sum of a row, beyond those of the tree over the lanes."""
KNOWN = 1
"""Cycles from what a row had to wait for until its vectors go on."""
RESULTS = RowBuffer.latency + Gradient.latency
"""Cycles from the third pass over a vector to its gradients."""
BETWEEN_STEPS = 4
"""Cycles between two steps in which none takes a vector."""
BETWEEN_WRITES = 1
"""Cycles between two steps in which none writes."""
ACCEPTED = 1
"""Cycles from the acceptance of a command's last write to its signals."""
HELD = 1
"""Cycles from accepting a command of the update unit to what is done with it first."""
CHOSEN = 4
"""Cycles from the first of a scale to its writing, where nothing has to be fitted."""
FITTED = READ - READING + 4
"""Cycles that fitting takes besides."""
CLEARING = STATISTICS
"""Cycles after the start of all units in which the epilogues clear their statistics."""


@dataclass(frozen=True, kw_only=True)
class Issue:
    """How an engine executes one command; cycles count from the one that accepts it.

    Attributes
    ----------
    first, last : float
        When the first and the last beat for the epilogue issue.
    beats : int
        Vectors, or one beat that only ends the command.
    cycles : int
        Until the next command can be accepted.
    active : int
        Cycles in which something issues.
    """

    first: float
    last: float
    beats: int
    cycles: int
    active: int


@dataclass(frozen=True)
class Timing:
    """Durations of commands on one configuration.

    Parameters
    ----------
    config : AcceleratorConfig
    """

    config: AcceleratorConfig

    settle = SETTLE
    epilogue_latency = Epilogue.latency
    random_latency = RandomBytes.latency
    random_depth = RandomBytes.pipeline + 4
    fetch_depth = FETCH_DEPTH

    @cached_property
    def command_packing(self) -> Packing:
        """Commands in memory words."""
        return Packing.of(COMMAND_BYTES, self.config.memory_bytes)

    @cached_property
    def aggregate_to_read(self) -> int:
        """Cycles from accepting an aggregate to those in which its beats read sums."""
        return 1 + operand_feed(self.config).latency

    @cached_property
    def transform_latency(self) -> int:
        """Cycles from a step's issue to its sums at the epilogue."""
        return self._transform_pipeline + QUEUE

    @cached_property
    def transform_depth(self) -> int:
        """Beats between the dense engine's issue and its epilogue."""
        return self._transform_pipeline + 4

    @cached_property
    def _transform_pipeline(self) -> int:
        return OperandMemory.latency + array_latency(self.config) + Accumulator.latency

    @property
    def regrouping(self) -> int:
        """Cycles from the last slice of a vector to the vector."""
        return 1 if self.config.update_slices > 1 else 0

    @cached_property
    def to_powers(self) -> int:
        """Cycles from a row's last word to its second pass, in a loss."""
        return GATHERED + Mark.latency + PEAKED + self._levels + KNOWN

    @cached_property
    def to_gradients(self) -> int:
        """Cycles from the second pass over a row's last vector to the third pass."""
        raised = RowBuffer.latency + Exponential.latency
        return raised + self._levels + ADDED + Normalise.latency + KNOWN

    @cached_property
    def _levels(self) -> int:
        return sum_levels(self.config.update_width)

    @cached_property
    def epilogue_depth(self) -> int:
        """Vectors between an epilogue's issue and the fabric."""
        return max(self.config.fabric_depth, Epilogue.pipeline + 4)

    def packing(self, target: int) -> Packing:
        """Packing of what a load to `target` moves."""
        return load_packing(self.config, Target(target))

    def groups(self, command: Load) -> int:
        """Cycles in which a load writes."""
        return -(-command.count // load_group(self.config, Target(command.target)))

    def grouped(self, target: int) -> Packing:
        """Packing of what is written to `target` in one cycle."""
        packing, group = self.packing(target), load_group(self.config, Target(target))
        return Packing(
            item_bytes=group * packing.item_bytes,
            items_per_word=packing.items_per_word // group,
            words_per_item=packing.words_per_item,
        )

    def stored(self, raw: int) -> Packing:
        """Packing of what a store moves."""
        return self.config.sums if raw else self.config.vector

    def transform(self, command: Transform) -> Issue:
        """Fill the array (or let sums settle), stream rows, lift rows out."""
        mode, count, rows = Mode(command.mode), command.count, self.config.rows
        cycles = command_cycles(self.config, mode, count, bool(command.last))
        lifted = rows if mode == Mode.OUTPUT_STATIONARY else count
        beats = lifted if command.last else 1
        return Issue(
            first=cycles - beats, last=cycles - 1, beats=beats, cycles=cycles, active=cycles - 1
        )

    def packing_latency(self, packing: Packing) -> int:
        """Cycles from packing a vector to its word, beyond those that words of it take."""
        return 1 if packing.words_per_item == 1 else 0

    def scale(self, command: Scale) -> int:
        """Cycles from a scale's first to its writing."""
        return CHOSEN + (FITTED if command.rule == Rule.FIT else 0)
