# SPDX-License-Identifier: Apache-2.0
"""ClockPlan: the settings of a PLL that come nearest to a wanted clock."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gcnloom_fpga.clocks import ecp5, gowin, ice40
from gcnloom_fpga.clocks.ranges import Candidate
from gcnloom_fpga.part import Part

__all__ = ["ClockPlan", "plan_clock"]

TOLERANCE = 0.05
"""Share by which the clock may miss what is wanted."""


@dataclass(frozen=True, kw_only=True)
class ClockPlan:
    """How the accelerator's clock is made.

    Parameters
    ----------
    source, hertz : float
        The oscillator's clock and the one made from it.
    vco : float
        What the PLL's oscillator runs at; 0 without a PLL.
    settings : Mapping[str, int]
        Dividers by the vendor's names; none without a PLL.
    phase : float, optional
        Degrees by which a second clock of the same rate comes later, as near as the PLL can.
    """

    source: float
    hertz: float
    vco: float = 0.0
    settings: Mapping[str, int] = field(default_factory=dict)
    phase: float | None = None


def plan_clock(
    part: Part, source: float, wanted: float, *, phase: float | None = None
) -> ClockPlan:
    """Choose dividers within the vendor's limits.

    Parameters
    ----------
    part : Part
    source, wanted : float
        Hertz. Where both are the same and no phase is asked for, there is no PLL.
    phase : float, optional
        Degrees of a second clock, as an SDRAM wants one.

    Raises
    ------
    ValueError
        No setting comes within a twentieth.
    """
    if wanted <= 0 or not math.isfinite(wanted):
        raise ValueError(f"a clock of {wanted:g} Hz cannot be made; try 50e6")
    if wanted == source and phase is None:
        return ClockPlan(source=source, hertz=wanted)
    best = min(_candidates(part, source), key=lambda each: _preference(each, wanted), default=None)
    if best is None or abs(best.hertz - wanted) > TOLERANCE * wanted:
        nearest = f"the nearest is {best.hertz / 1e6:.4g} MHz" if best else "nothing can be made"
        raise ValueError(
            f"a PLL of {part.name} cannot make {wanted / 1e6:.6g} MHz of {source / 1e6:.6g}, "
            f"{nearest}; try another --sys-clk-freq"
        )
    settings, actual = best.settings, None
    if phase is not None:
        family = {"ecp5": ecp5, "gowin": gowin}.get(part.family)
        if family is None:
            raise ValueError(f"{part.name} has no second PLL output; try another memory than SDRAM")
        added, actual = family.shifted(settings, phase)
        settings = {**settings, **added}
    return ClockPlan(source=source, hertz=best.hertz, vco=best.vco, settings=settings, phase=actual)


def _candidates(part: Part, source: float) -> Iterator[Candidate]:
    match part.family:
        case "ecp5":
            return ecp5.candidates(source)
        case "ice40":
            return ice40.candidates(source)
        case _:
            return gowin.candidates(source, part.name)


def _preference(candidate: Candidate, wanted: float) -> tuple[float, float, float]:
    """Nearest first, then the fastest phase detector, which follows its input best."""
    return round(abs(candidate.hertz - wanted), 3), -candidate.detector, candidate.strain
