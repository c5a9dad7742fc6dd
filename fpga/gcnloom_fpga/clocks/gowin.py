# SPDX-License-Identifier: Apache-2.0
"""RPLL of the Gowin GW1NR-9 and GW2AR-18.

Limits: data sheets DS117 (GW1NR) and DS226 (GW2AR), tables of PLL parameters.
"""

from collections.abc import Iterator, Mapping

from gcnloom_fpga.clocks.ranges import Candidate, Range

__all__ = ["LIMITS", "candidates", "shifted"]

LIMITS = {
    # Of input and phase detector, of the oscillator, of the output.
    "GW1NR-LV9QN88PC6/I5": (Range(3, 400), Range(400, 1200), Range(3.125, 600)),
    "GW2AR-LV18QN88C8/I7": (Range(3, 500), Range(500, 1250), Range(3.90625, 625)),
}
DIVIDERS = range(64)
OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
PHASE_STEPS = 16
"""Of a period of the output."""


def candidates(source: float, part: str) -> Iterator[Candidate]:
    """Every setting within the limits of a part."""
    detectors, vcos, outputs = LIMITS[part]
    for before in DIVIDERS:
        detector = source / (before + 1)
        if source not in detectors or detector not in detectors:
            return
        for feedback in DIVIDERS:
            hertz = detector * (feedback + 1)
            if hertz not in outputs:
                continue
            for after in OUTPUT_DIVIDERS:
                if hertz * after in vcos:
                    yield Candidate(
                        hertz=hertz, detector=detector, vco=hertz * after,
                        strain=abs(hertz * after - vcos.middle),
                        settings={"IDIV_SEL": before, "FBDIV_SEL": feedback, "ODIV_SEL": after},
                    )  # fmt: skip


def shifted(settings: Mapping[str, int], phase: float) -> tuple[dict[str, int], float]:
    """Return settings of a second output that is so much later, and the degrees it gets."""
    steps = round(phase / 360 * PHASE_STEPS) % PHASE_STEPS
    # The other edge comes half a period after the first.
    falling = (steps + PHASE_STEPS // 2) % PHASE_STEPS
    return {"PSDA": steps, "DUTYDA": falling}, 360 * steps / PHASE_STEPS
