# SPDX-License-Identifier: Apache-2.0
"""The lines of losses, scales, loops and routines that `mutations.py` breaks."""

from tests.breaks import HW, Mutation

__all__ = ["UPDATE"]

SPEC, SW = "hw/gcnloom_spec", "sw/gcnloom"
SOFTMAX = ("tests/spec/test_softmax.py",)
SCALES = ("tests/hw/test_scales.py",)
REPEATS = ("tests/hw/test_repeats.py",)
STATUS = ("tests/hw/test_status.py",)
PORT = ("tests/hw/test_port.py",)
RESIDENT = ("tests/sw/test_resident.py",)

UPDATE = [
    Mutation(f"{SPEC}/softmax.py", "np.minimum(whole, 31)", "np.minimum(whole, 9)", SOFTMAX),
    Mutation(
        f"{SPEC}/descent.py",
        "requantise(wide, NOISE_BITS, width, noises[1])",
        "requantise(wide, NOISE_BITS, width, noises[0])",
        ("tests/spec/test_descent.py",),
    ),
    Mutation(f"{HW}/update/scales.py", "with m.If(found):", "with m.If(1):", SCALES),
    Mutation(
        f"{HW}/update/scales.py", "with m.Elif(apart > MOST_SHIFT):", "with m.Elif(0):", SCALES
    ),
    Mutation(f"{HW}/control/repeats.py", "Mux(again, done, 0)", "done", REPEATS),
    Mutation(f"{HW}/control/repeats.py", "(repeat.advance & self.finish)", "self.finish", REPEATS),
    Mutation(
        f"{HW}/control/status.py", "better.eq(loss < best)", "better.eq(loss <= best)", STATUS
    ),
    Mutation(
        f"{HW}/memory/port.py",
        "with m.If(self.o.ready | ~served.valid):",
        "with m.If(1):",
        PORT,
    ),
    Mutation(
        f"{HW}/update/unit.py",
        "self.commands.ready.eq(~held & ~self.clear & ~clearing)",
        "self.commands.ready.eq(~held)",
        ("tests/system/test_random_updates.py", "-k", "tall-1-0"),
    ),
    Mutation(
        f"{SW}/lower/builder.py",
        "if target == Target.LEFT and self.zeros is not None:",
        "if False:",
        (*RESIDENT, "-k", "transposed"),
    ),
    Mutation(
        f"{SW}/lower/descent.py",
        "row=block * self.blocks.rows + inside,",
        "row=0,",
        (*RESIDENT, "-k", "widths"),
    ),
    Mutation(
        f"{SW}/training/resident.py",
        'exponents |= {f"masters{layer}": masters.exponent, f"used_weights{layer}": used}',
        'exponents |= {f"masters{layer}": masters.exponent}',
        (*RESIDENT, "-k", "continued"),
    ),
]
