# SPDX-License-Identifier: Apache-2.0
"""The lines of the weight step that `mutations.py` breaks, and the tests that should notice."""

from tests.breaks import HW, Mutation

__all__ = ["STEP"]

UPDATE = f"{HW}/update"
LANE = ("tests/hw/test_step_lane.py",)
ENGINE = ("tests/hw/test_step.py",)

STEP = [
    Mutation(
        f"{UPDATE}/coalesce.py", "Mux(full, 0, filled) | 1 << slot", "filled | 1 << slot", ENGINE
    ),
    Mutation(f"{UPDATE}/lane.py", "self.weight, REDUCED - 1)", "self.weight, REDUCED - 2)", LANE),
    Mutation(f"{UPDATE}/masters.py", "ahead.take.eq(asked),", "", ENGINE),
    Mutation(
        f"{UPDATE}/masters.py", "unpack.flush.eq(given & final)", "unpack.flush.eq(0)", ENGINE
    ),
    Mutation(
        f"{UPDATE}/order.py",
        "halvings[len(small) :].any() | slower[-1]",
        "slower[-1]",
        ENGINE,
    ),
    Mutation(f"{UPDATE}/order.py", "Mux(active.halving == 0, 0, halvings)", "halvings", ENGINE),
    Mutation(
        f"{UPDATE}/results.py",
        "Mux(refused, refused_second, ~offers[0])",
        "~offers[0]",
        ENGINE,
    ),
    Mutation(f"{UPDATE}/ring.py", "SLOTS + 1 - self._cycles", "SLOTS - self._cycles", LANE),
    Mutation(f"{UPDATE}/rounded.py", "Mux(quotient[0], half, half - 1)", "half", LANE),
    Mutation(
        f"{UPDATE}/scaled.py",
        "clip = delay_line(m, beyond",
        "clip = delay_line(m, 0 & beyond",
        LANE,
    ),
    Mutation(
        f"{UPDATE}/step.py",
        "stepped.available & operands.available",
        "operands.available",
        ENGINE,
    ),
    Mutation(f"{UPDATE}/step.py", "tags[summed].gradient", "tags[summed].tensor", ENGINE),
    Mutation(
        f"{UPDATE}/step.py", "eq(randoms.dropout[index])", "eq(randoms.rounding[index])", ENGINE
    ),
]
