# SPDX-License-Identifier: Apache-2.0
"""SB_PLL40 of the Lattice iCE40, with simple feedback.

Limits: iCE40 UltraPlus Family Data Sheet; formula: iCE40 sysCLOCK PLL Design and Usage Guide.
"""

from collections.abc import Iterator

from gcnloom_fpga.clocks.ranges import Candidate, Range

__all__ = ["INPUT", "OUTPUT", "PHASE_DETECTOR", "VCO", "candidates"]

INPUT = Range(10, 133)
PHASE_DETECTOR = Range(10, 133)
VCO = Range(533, 1066)
OUTPUT = Range(16, 275)
FILTERS = ((17, 1), (26, 2), (44, 3), (66, 4), (101, 5), (134, 6))
"""Megahertz of the phase detector below which a filter range is right."""


def candidates(source: float) -> Iterator[Candidate]:
    """Every setting within the limits."""
    if source not in INPUT:
        return
    for reference in range(16):
        detector = source / (reference + 1)
        if detector not in PHASE_DETECTOR:
            return
        filtered = next(number for below, number in FILTERS if detector < below * 1e6)
        for feedback in range(128):
            vco = detector * (feedback + 1)
            if vco not in VCO:
                continue
            for output in range(1, 7):
                if vco / 2**output in OUTPUT:
                    yield Candidate(
                        hertz=vco / 2**output, detector=detector, vco=vco,
                        strain=abs(vco - VCO.middle),
                        settings={
                            "DIVR": reference, "DIVF": feedback, "DIVQ": output,
                            "FILTER_RANGE": filtered,
                        },
                    )  # fmt: skip
