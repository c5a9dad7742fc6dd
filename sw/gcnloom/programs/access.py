# SPDX-License-Identifier: Apache-2.0
"""Which memories a command reads and writes."""

from typing import NamedTuple

from gcnloom_spec.commands import (
    Aggregate,
    Command,
    Drain,
    Emission,
    Load,
    Loss,
    Scale,
    Step,
    Store,
    Transform,
)
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Mode, Target
from gcnloom_spec.items import load_packing
from gcnloom_spec.registers import STATISTICS

__all__ = ["DEVICE", "Access", "Reach", "accesses_of"]

DEVICE = "device"
SCALES = "scales"
LEFT = tuple(f"left.{bank}" for bank in range(16))
RIGHT = tuple(f"right.{bank}" for bank in range(16))
TARGETS = {
    Target.OPERAND: "operand",
    Target.EDGES: "edges",
    Target.PLAIN_EDGES: "edges",
    Target.ORDER: "order",
    Target.MASK_AGGREGATE: "mask_aggregate",
    Target.MASK_TRANSFORM: "mask_transform",
}


class Access(NamedTuple):
    """Items `low` up to, but not including, `high` of one memory.

    `space` is ``"device"`` (in words), the lower-case name of a
    :class:`~gcnloom_spec.isa.Target`, or a bank: ``"left.0"``, ``"right.3"``.
    """

    space: str
    low: int
    high: int
    write: bool


class Reach(NamedTuple):
    """How far an Aggregate or a Drain goes from its bases on, which its fields do not say.

    `rows`: operand vectors, one more than the largest `column` of its edges; None: all that
    follow. `slots`: accumulators of each PE, likewise.
    """

    rows: int | None = None
    slots: int | None = None


def accesses_of(
    command: Command, config: AcceleratorConfig, reach: Reach | None = None
) -> list[Access]:
    """List every access of `command` that another unit could conflict with.

    Parameters
    ----------
    command : Command
    config : AcceleratorConfig
    reach : Reach, optional
        Of an :class:`~gcnloom_spec.commands.Aggregate` or
        :class:`~gcnloom_spec.commands.Drain`. Left out, all that follows its bases.
    """
    match command:
        case Load():
            return _load(command, config)
        case Aggregate():
            base, rows = command.operand_base, reach.rows if reach else None
            high = config.operand_depth if rows is None else base + rows
            return [
                Access("edges", command.edge_base, command.edge_base + command.count, False),
                Access("operand", base, high, False),
                _accumulators(command, config, reach, write=True),
            ]
        case Drain():
            order = Access("order", command.order_base, command.order_base + command.count, False)
            sums = _accumulators(command, config, reach, write=False)
            return [order, sums, *_emission(command.emission, "mask_aggregate")]
        case Transform():
            return [
                *_operands(command, config),
                *_emission(command.emission, "mask_transform"),
            ]
        case Store():
            packing = config.sums if command.raw else config.vector
            end = command.address + packing.words(command.count)
            return [Access(DEVICE, command.address, end, True)]
        case Loss():
            return _loss(command, config)
        case Step():
            masters = command.address + config.masters.words(command.count)
            operands = command.operands + config.vector.words(command.offset + command.count)
            return [
                Access(DEVICE, command.address, masters, True),
                Access(DEVICE, command.operands, operands, True),
                Access(SCALES, command.gradient, command.gradient + 1, False),
                Access(SCALES, command.tensor, command.tensor + 1, False),
            ]
        case Scale():
            return [Access(SCALES, 0, STATISTICS, True)]


def _loss(command: Loss, config: AcceleratorConfig) -> list[Access]:
    def panels(start: int, pitch: int, words: int, *, write: bool) -> list[Access]:
        each = (start + panel * pitch for panel in range(command.panels))
        return [Access(DEVICE, address, address + words, write) for address in each]

    logits = config.sums.words(command.count)
    labels = command.labels + config.label.words(command.count)
    accesses = [
        *panels(command.address, command.pitch, logits, write=False),
        Access(DEVICE, command.labels, labels, False),
        Access(SCALES, command.logits, command.logits + 1, False),
        Access(SCALES, command.tensor, command.tensor + 1, False),
    ]
    if command.gradient:
        words = config.vector.words(command.count)
        accesses += panels(command.gradients, command.gradient_pitch, words, write=True)
    return accesses


def _accumulators(
    command: Aggregate | Drain, config: AcceleratorConfig, reach: Reach | None, *, write: bool
) -> Access:
    base, slots = command.slot_base, reach.slots if reach else None
    high = config.accumulator_depth if slots is None else base + slots
    return Access("accumulators", base, high, write)


def _load(command: Load, config: AcceleratorConfig) -> list[Access]:
    packing = load_packing(config, Target(command.target))
    if command.target == Target.LEFT:
        space = LEFT[command.bank]
    elif command.target == Target.RIGHT:
        space = RIGHT[command.bank]
    else:
        space = TARGETS[Target(command.target)]
    return [
        Access(DEVICE, command.address, command.address + packing.words(command.count), False),
        Access(space, command.base, command.base + command.count, True),
    ]


def _operands(command: Transform, config: AcceleratorConfig) -> list[Access]:
    if command.mode == Mode.PASS:
        return []
    left, right = command.left_base, command.right_base
    rights = config.rows if command.mode == Mode.WEIGHT_STATIONARY else command.count
    return [
        *(Access(LEFT[b], left, left + command.count, False) for b in range(config.left_banks)),
        *(Access(RIGHT[b], right, right + rights, False) for b in range(config.right_banks)),
    ]


def _emission(emission: Emission, mask: str) -> list[Access]:
    if not emission.vectors:
        return []
    accesses = []
    if emission.scaled:
        accesses.append(Access(SCALES, emission.tensor, emission.tensor + 1, False))
    if emission.mask:
        low = emission.mask_base
        accesses.append(Access(mask, low, low + emission.vectors, False))
    if emission.destination:
        space = {
            Destination.OPERAND: "operand",
            Destination.LEFT: LEFT[emission.destination_bank],
            Destination.RIGHT: RIGHT[emission.destination_bank],
        }[Destination(emission.destination)]
        low = emission.destination_base
        accesses.append(Access(space, low, low + emission.vectors, True))
    return accesses
