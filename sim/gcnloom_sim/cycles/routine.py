# SPDX-License-Identifier: Apache-2.0
"""Cycles of a routine: those of its parts, as often as each runs, and what lies between them."""

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from gcnloom.programs.routine import Routine
from gcnloom_hw.control.running import QUIET_CYCLES
from gcnloom_sim.cycles.prediction import Prediction, predict_part
from gcnloom_sim.memory import IDEAL, Memory, memory_model
from gcnloom_spec.config import Packing
from gcnloom_spec.isa import COMMAND_BYTES, LOOPS

__all__ = ["passes", "predict_routine"]

BARRIER = 2
"""Cycles from finding all quiet to where the next part would begin to count, were it a run."""


def passes(routine: Routine) -> Iterator[int]:
    """Yield the numbers of parts in the order in which they run, if nothing ends a run early."""
    done = [0] * LOOPS
    number = 0
    while number < len(routine.parts):
        yield number
        part = routine.parts[number]
        loop = part.repeat.loop
        done[loop] += 1
        if done[loop] < part.repeat.passes:
            number = part.back
        else:
            done[loop] = 0
            number += 1


def predict_routine(
    routine: Routine, memory: str | Memory = IDEAL, address: int | None = None
) -> Prediction:
    """Predict how many cycles a routine takes, without running it.

    Every pass of a part is taken to last as long as any other, as if nobody ended the run early
    and judgements never ran out of patience.

    Parameters
    ----------
    routine : Routine
    memory : str or Memory
        How long the memory takes, see :func:`gcnloom_sim.memory.memory_model`.
    address : int, optional
        Word from which on the routine lies in it; each part behind all that it reaches, if not
        given.
    """
    model = memory_model(memory)
    ran: Counter[tuple[int, bool]] = Counter()
    for index, number in enumerate(passes(routine)):
        ran[number, index == 0] += 1
    totals: dict[str, Counter[str]] = {name: Counter() for name in ("active", "waiting", "stalled")}
    packing = Packing.of(COMMAND_BYTES, routine.config.memory_bytes)
    sizes = (packing.words(len(part.program) + 1) for part in routine.parts)
    starts = list(accumulate(sizes, initial=0))
    cycles = (ran.total() - 1) * BARRIER + QUIET_CYCLES
    for (number, first), times in ran.items():
        place = None if address is None else address + starts[number]
        part = predict_part(
            routine.parts[number].program, routine.config, model, place, first=first
        )
        cycles += times * part.cycles
        for name, total in totals.items():
            counts: dict[str, int] = getattr(part, name)
            total.update({unit: times * count for unit, count in counts.items()})
    return Prediction(cycles=cycles, **{name: dict(total) for name, total in totals.items()})
