# SPDX-License-Identifier: Apache-2.0
"""The sparse engine of the model: edges to sums, sums to emissions."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.errors import ProgramError
from gcnloom_sim.model.checks import check_range
from gcnloom_spec.commands import Aggregate, Drain
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE
from gcnloom_spec.items import edge_word, order_word
from gcnloom_spec.number import wrap

__all__ = ["SparseEngine"]

REMEMBERED_EDGES = 4_000_000
NOWHERE = -1


@dataclass(frozen=True)
class _Plan:
    """What a range of edge beats does, whatever the operands are."""

    edges: int
    slots: NDArray[np.int32]
    reach: int
    targets: NDArray[np.int64]
    cleared: NDArray[np.bool_]
    weights: csr_array
    columns: int


class SparseEngine:
    """Accumulators of all PEs.

    Beats are decoded once and remembered by their content, so that loading the same edges
    every epoch costs nothing.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self._sums = np.zeros((config.pes * config.accumulator_depth, config.lanes), np.int64)
        self._plans: OrderedDict[bytes, _Plan] = OrderedDict()
        self._remembered = 0
        self.begin()

    def begin(self) -> None:
        """Start a program, or another part of it: its first beats follow none."""
        # Slot of each PE in the beats just before, oldest first; NOWHERE without an edge.
        self._before = np.full((HAZARD_DISTANCE - 1, self.config.pes), NOWHERE)

    def aggregate(
        self, command: Aggregate, edges: NDArray[np.uint64], operand: NDArray[np.int64]
    ) -> int:
        """Execute an :class:`Aggregate`; return how many edges were valid."""
        beats = edges[check_range("edges", command.edge_base, command.count, len(edges))]
        plan = self._plan(beats)
        self._check_border(plan, command.slot_base)
        if plan.edges:
            self._check_base(command.operand_base)
            check_range("slot", command.slot_base, plan.reach, self.config.accumulator_depth)
            vectors = operand[
                check_range("operand", command.operand_base, plan.columns, len(operand))
            ]
            targets = plan.targets + command.slot_base
            old = self._sums[targets]
            old[plan.cleared] = 0
            new: NDArray[np.int64] = old + plan.weights @ vectors
            self._sums[targets] = wrap(new, self.config.sum_width)
        return plan.edges

    def drain(self, command: Drain, order: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Execute a :class:`Drain`; return the emitted sums, a row a vector."""
        entries = order[check_range("order", command.order_base, command.count, len(order))]
        fields = order_word(self.config).unpack(entries[:, np.newaxis])
        last = np.flatnonzero(fields["last"])
        if not len(last) or last[-1] != command.count - 1:
            raise ProgramError("the last drain-order entry lacks `last`; try ending with a row")
        check_range("PE", int(fields["pe"].max()), 1, self.config.pes)
        slots = command.slot_base + fields["slot"]
        check_range("slot", int(slots.max()), 1, self.config.accumulator_depth)
        drained = fields["pe"] * self.config.accumulator_depth + slots
        # Whoever adds to a drained slot waits for the drain, by itself or through other units.
        first = np.arange(self.config.pes) * self.config.accumulator_depth
        self._before[np.isin(first + self._before, drained)] = NOWHERE
        parts = self._sums[drained]
        starts = np.concatenate([[0], last[:-1] + 1])
        totals: NDArray[np.int64] = np.add.reduceat(parts, starts, axis=0)
        return wrap(totals, self.config.sum_width)

    def _check_base(self, base: int) -> None:
        """With banks, column 0 is in bank 0."""
        banks = self.config.operand_banks
        if banks and base % banks:
            raise ProgramError(
                f"operand_base={base} is no multiple of operand_banks={banks}; "
                f"try {base // banks * banks}"
            )

    def _check_border(self, plan: _Plan, slot_base: int) -> None:
        """Beats of two commands follow each other as those of one do."""
        slots = np.where(plan.slots == NOWHERE, NOWHERE, plan.slots + slot_base)
        first = slots[: HAZARD_DISTANCE - 1]
        joined = np.concatenate([self._before, first])
        start = len(self._before)
        for beat in range(start, len(joined)):
            recent = joined[beat - HAZARD_DISTANCE + 1 : start]
            same = (recent == joined[beat]) & (recent != NOWHERE)
            if same.any():
                pe = int(np.argwhere(same)[0][1])
                raise ProgramError(
                    f"PE {pe} adds to slot {joined[beat, pe]} in beat {beat - start}, too soon "
                    f"after the command before; try {HAZARD_DISTANCE} beats between them"
                )
        self._before = np.concatenate([self._before, slots])[1 - HAZARD_DISTANCE :]

    def _plan(self, beats: NDArray[np.uint64]) -> _Plan:
        key = beats.tobytes()
        plan = self._plans.get(key)
        if plan is None:
            plan = _plan(self.config, beats)
            self._plans[key] = plan
            self._remembered += beats.size
            while self._remembered > REMEMBERED_EDGES and len(self._plans) > 1:
                oldest, _ = self._plans.popitem(last=False)
                self._remembered -= len(oldest) // beats.itemsize
        else:
            self._plans.move_to_end(key)
        return plan


def _plan(config: AcceleratorConfig, beats: NDArray[np.uint64]) -> _Plan:
    """Decode beats: which accumulators they touch, which start anew, and by what weights."""
    fields = edge_word(config).unpack(beats[..., np.newaxis])
    time, pe = np.nonzero(fields["valid"])
    slots = np.where(fields["valid"] != 0, fields["slot"], NOWHERE).astype(np.int32)
    slot, column = fields["slot"][time, pe], fields["column"][time, pe]
    if not len(time):
        nothing = np.zeros(0, dtype=np.int64)
        return _Plan(0, slots, 0, nothing, nothing.astype(np.bool_), csr_array((0, 0)), 0)
    check_range("slot", int(slot.max()), 1, config.accumulator_depth)
    if config.operand_banks:
        _check_banks(config.operand_banks, time, pe, column)

    accumulator = pe * config.accumulator_depth + slot
    # Stable, so that the edges of one accumulator stay in the order of time.
    order = np.argsort(accumulator, kind="stable")
    time, accumulator = time[order], accumulator[order]
    again = accumulator[1:] == accumulator[:-1]
    _check_hazards(config, time, accumulator, again)

    starts = np.flatnonzero(np.concatenate([[True], ~again]))
    group = np.cumsum(np.concatenate([[False], ~again]))
    place = np.arange(len(order))
    first = np.where(fields["first"][time, pe[order]] != 0, place, -1)
    last_first = np.maximum.reduceat(first, starts)
    counted = place >= last_first[group]
    lengths = np.bincount(group[counted], minlength=len(starts))
    columns = int(column.max()) + 1
    weights = csr_array(
        (
            fields["weight"][time, pe[order]][counted],
            column[order][counted],
            np.concatenate([[0], np.cumsum(lengths)]),
        ),
        shape=(len(starts), columns),
    )
    reach = int(slot.max()) + 1
    starting = last_first >= 0
    return _Plan(len(order), slots, reach, accumulator[starts], starting, weights, columns)


def _check_hazards(
    config: AcceleratorConfig,
    time: NDArray[np.int64],
    accumulator: NDArray[np.int64],
    again: NDArray[np.bool_],
) -> None:
    close = again & (np.diff(time) < HAZARD_DISTANCE)
    if close.any():
        place = int(np.flatnonzero(close)[0])
        pe, slot = divmod(int(accumulator[place]), config.accumulator_depth)
        raise ProgramError(
            f"PE {pe} adds to slot {slot} in beats {time[place]} and {time[place + 1]}; "
            f"try at least {HAZARD_DISTANCE} beats between them"
        )


def _check_banks(
    banks: int, time: NDArray[np.int64], pe: NDArray[np.int64], column: NDArray[np.int64]
) -> None:
    """No two PEs read one bank in one beat."""
    read = time * banks + column % banks
    order = np.argsort(read, kind="stable")
    twice = np.flatnonzero(np.diff(read[order]) == 0)
    if len(twice):
        one, other = order[twice[0] : twice[0] + 2]
        raise ProgramError(
            f"PEs {pe[one]} and {pe[other]} both read operand bank {column[one] % banks} in beat "
            f"{time[one]}; try a schedule for operand_banks={banks}"
        )
