# SPDX-License-Identifier: Apache-2.0
"""What all PLLs have in common: settings, and ranges that frequencies have to keep to."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Candidate", "Range"]


@dataclass(frozen=True)
class Range:
    """Least and most megahertz, both allowed."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """Hertz that are far from both ends."""
        return (self.least + self.most) / 2 * 1e6

    def __contains__(self, hertz: float) -> bool:
        # Decimal megahertz are no binary fractions: a hertz is let pass.
        return self.least * 1e6 - 1 <= hertz <= self.most * 1e6 + 1


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to set a PLL, and the rates in hertz that come of it.

    Parameters
    ----------
    hertz, detector, vco : float
        Of the output, of the phase detector and of the PLL's oscillator.
    strain : float
        How far the oscillator is from the middle of its range.
    settings : Mapping[str, int]
        Dividers by the vendor's names.
    """

    hertz: float
    detector: float
    vco: float
    strain: float
    settings: Mapping[str, int]
