# SPDX-License-Identifier: Apache-2.0
"""EHXPLLL of the Lattice ECP5, fed back within from its fourth output.

So the clock divides the oscillator freely. Limits: ECP5 and ECP5-5G Family Data Sheet, table of
sysCLOCK PLL timing.
"""

from collections.abc import Iterator, Mapping

from gcnloom_fpga.clocks.ranges import Candidate, Range

__all__ = ["FEEDBACK", "INPUT", "OUTPUT", "PHASE_DETECTOR", "VCO", "candidates", "shifted"]

INPUT = Range(8, 400)
PHASE_DETECTOR = Range(10, 400)
VCO = Range(400, 800)
OUTPUT = Range(3.125, 400)
DIVIDERS = range(1, 129)
FEEDBACK = 2
"""Divider of the output that is fed back, which it keeps within the range of outputs."""
PHASE_STEPS = 8
"""Of a period of the oscillator."""


def candidates(source: float) -> Iterator[Candidate]:
    """Every setting within the limits."""
    if source not in INPUT:
        return
    for before in DIVIDERS:
        detector = source / before
        if detector not in PHASE_DETECTOR:
            return
        for feedback in DIVIDERS:
            vco = detector * feedback * FEEDBACK
            if vco not in VCO:
                continue
            for after in DIVIDERS:
                if vco / after in OUTPUT:
                    yield Candidate(
                        hertz=vco / after, detector=detector, vco=vco,
                        strain=abs(vco - VCO.middle),
                        settings={
                            "CLKI_DIV": before, "CLKFB_DIV": feedback, "CLKOS3_DIV": FEEDBACK,
                            "CLKOP_DIV": after,
                        },
                    )  # fmt: skip


def shifted(settings: Mapping[str, int], phase: float) -> tuple[dict[str, int], float]:
    """Return settings of a second output that is so much later, and the degrees it gets."""
    after = settings["CLKOP_DIV"]
    period = after * PHASE_STEPS
    steps = round(phase / 360 * period) % period
    coarse, fine = divmod(steps, PHASE_STEPS)
    # A count of `CLKOP_DIV - 1` is no delay at all.
    added = {
        "CLKOP_CPHASE": after - 1, "CLKOP_FPHASE": 0,
        "CLKOS_DIV": after, "CLKOS_CPHASE": after - 1 + coarse, "CLKOS_FPHASE": fine,
    }  # fmt: skip
    return added, 360 * steps / period
