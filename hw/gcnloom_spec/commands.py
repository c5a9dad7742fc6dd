# SPDX-License-Identifier: Apache-2.0
"""Typed commands: what each unit does, as values with loop-nest semantics."""

from dataclasses import dataclass, field
from typing import ClassVar

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Opcode, Unit
from gcnloom_spec.update_commands import Loss, Repeat, Scale, Step

__all__ = [
    "COMMANDS",
    "UNITS",
    "Aggregate",
    "Command",
    "Drain",
    "Emission",
    "Load",
    "Loss",
    "Repeat",
    "Scale",
    "Step",
    "Store",
    "Transform",
    "units_of",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Emission:
    """What the epilogue does with each vector of sums, and where the result goes.

    ::

        for i in range(vectors):                 # in the order the engine emits
            for l in range(lanes):
                keep = not (relu and sum[l] < 0)
                keep &= not (mask and not mask_memory[mask_base + i][l])
                keep &= not (dropout and draw(DROPOUT, row + i, feature + l) < threshold)
                gated = sum[l] if keep else 0
                statistics[tensor].envelope |= gated ^ (gated >> sign)
                out[l] = gated if raw else requantise(gated, shift, stochastic and
                                                      draw(ROUNDING, row + i, feature + l))
                statistics[tensor].saturations += clipped
            if destination: memory[destination][destination_base + i].bank[destination_bank] = out
            if store: hand out to the store unit
            if step: hand out to the step that waits for this engine

    `raw` results go to the store unit or to a step only. The masks are loaded from a tensor: a
    lane's bit is set where the element is above zero. With `scaled` the shift is that of the
    tensor's scale, see :class:`Scale`.
    """

    vectors: int
    raw: int = 0
    shift: int = 0
    stochastic: int = 0
    relu: int = 0
    mask: int = 0
    mask_base: int = 0
    dropout: int = 0
    threshold: int = 0
    tensor: int = 0
    row: int = 0
    feature: int = 0
    destination: int = Destination.NONE
    destination_base: int = 0
    destination_bank: int = 0
    store: int = 0
    scaled: int = 0
    step: int = 0


NO_EMISSION = Emission(vectors=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Copy items from device memory to an on-chip memory.

    ::

        for i in range(count):
            memory[target][base + i].bank[bank] = item(device[address:], i)

    `address` counts memory words. Items are vectors, edge beats or order entries, packed as
    the configuration's :class:`~gcnloom_spec.config.Packing` says; a mask keeps one bit a lane.
    `bank` matters for LEFT and RIGHT only; `weight` for PLAIN_EDGES, which lie in device memory
    without theirs: valid ones get this one, those that are `first` but not valid become valid with
    a weight of zero, and so clear their sums. Several items are written in a cycle: `base` is a
    multiple of the configuration's group of such items.
    """

    opcode: ClassVar[Opcode] = Opcode.LOAD
    unit: ClassVar[Unit] = Unit.LOAD
    target: int
    base: int
    count: int
    address: int
    bank: int = 0
    weight: int = 0
    waits: int = 0
    signals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregate:
    """Multiply and accumulate scheduled edges, one a PE each beat.

    ::

        for t in range(count):
            for p in range(pes):                                  # in parallel
                e = edges[edge_base + t][p]
                if e.valid:
                    s = slot_base + e.slot
                    old = 0 if e.first else sums[p][s]
                    sums[p][s] = old + e.weight * operand[operand_base + e.column]

    Two edges of one PE that name the same sum are at least
    :data:`~gcnloom_spec.isa.HAZARD_DISTANCE` beats apart, counted through the commands. Where PEs
    share operand banks, `operand_base` is a multiple of their number B, and no two valid edges of
    a beat have columns of one bank, ``column % B``.
    """

    opcode: ClassVar[Opcode] = Opcode.AGGREGATE
    unit: ClassVar[Unit] = Unit.AGGREGATE
    edge_base: int
    count: int
    operand_base: int
    slot_base: int = 0
    waits: int = 0
    signals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Drain:
    """Read accumulated rows out, adding the parts of rows that were split.

    ::

        total = 0
        for t in range(count):
            o = order[order_base + t]
            total += sums[o.pe][slot_base + o.slot]
            if o.last: emit(total); total = 0

    The last entry has `last` set, and `emission.vectors` entries have. Runs beside aggregates:
    a PE's sums are read in beats in which the PE itself reads none.
    """

    opcode: ClassVar[Opcode] = Opcode.DRAIN
    unit: ClassVar[Unit] = Unit.DRAIN
    order_base: int
    count: int
    emission: Emission
    slot_base: int = 0
    waits: int = 0
    signals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Transform:
    """Run the systolic array over `count` rows.

    ::

        WEIGHT_STATIONARY:                                        # sums = left · right
            w[k][c] = right[right_base + k][c]                    for k < rows
            for i in range(count):
                s[c] = sum(left[left_base + i][slice * rows + k] * w[k][c] for k < rows)
                total = s if first else sums[sum_base + i] + s
                sums[sum_base + i] = total
                if last: emit(total.bank[bank])
        OUTPUT_STATIONARY:                                        # sums = leftᵀ · right
            if first: pe[k][c] = 0
            for i in range(count):
                pe[k][c] += left[left_base + i][slice * rows + k] * right[right_base + i][c]
            if last:
                for k in range(rows): sums[sum_base + k] = pe[k]; emit(pe[k].bank[bank])
        PASS:                                                     # another bank of earlier sums
            for i in range(count): emit(sums[sum_base + i].bank[bank])

    Row ``pe`` sums survive only until the next command of another mode. PASS has `last` set;
    `emission.vectors` is what is emitted: `count`, `rows`, or 0 without `last`.
    """

    opcode: ClassVar[Opcode] = Opcode.TRANSFORM
    unit: ClassVar[Unit] = Unit.TRANSFORM
    mode: int
    count: int
    left_base: int = 0
    right_base: int = 0
    sum_base: int = 0
    slice: int = 0
    first: int = 1
    last: int = 1
    bank: int = 0
    emission: Emission = field(default=NO_EMISSION)
    waits: int = 0
    signals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Write an engine's next `count` stored vectors to device memory.

    ::

        for i in range(count):
            item(device[address:], i) = next vector that `source` emitted with `store` set

    `raw` says the vectors are raw sums. Bytes of the last word beyond the last item are kept.
    A store comes before the command that emits to it, so that the unit is ready to take.
    """

    opcode: ClassVar[Opcode] = Opcode.STORE
    unit: ClassVar[Unit] = Unit.STORE
    source: int
    count: int
    address: int
    raw: int = 0
    waits: int = 0
    signals: int = 0


Command = Load | Aggregate | Drain | Transform | Store | Loss | Step | Scale
"""Commands of the units."""
COMMANDS: dict[Opcode, type[Command] | type[Repeat]] = {
    Opcode.LOAD: Load,
    Opcode.AGGREGATE: Aggregate,
    Opcode.DRAIN: Drain,
    Opcode.TRANSFORM: Transform,
    Opcode.STORE: Store,
    Opcode.LOSS: Loss,
    Opcode.STEP: Step,
    Opcode.SCALE: Scale,
    Opcode.REPEAT: Repeat,
}
UNITS: dict[Opcode, Unit] = {
    opcode: command.unit for opcode, command in COMMANDS.items() if not issubclass(command, Repeat)
}
"""Who executes what; the sequencer itself executes repeats."""


def units_of(config: AcceleratorConfig) -> tuple[Unit, ...]:
    """Units that an accelerator has; a command for another stops it."""
    absent = set() if config.sparse else {Unit.AGGREGATE, Unit.DRAIN}
    if not config.master_width:
        absent.add(Unit.UPDATE)
    return tuple(unit for unit in Unit if unit not in absent)
