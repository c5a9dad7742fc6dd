# SPDX-License-Identifier: Apache-2.0
"""Delayed scaling: this step's shifts from the last step's largest results."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gcnloom.layers import Network
from gcnloom_spec.number import shift_for

__all__ = ["Scales"]

FIRST_SHIFT = 8
MOST = 63


class Scales:
    """Exponents of the tensors that one pass requantises on the device.

    What is carried from step to step is the exponent at which a tensor just fits its operands;
    the shift follows from it and from the exponent of the sums, which changes whenever an
    input's exponent does.

    Parameters
    ----------
    width : int
        Operand width in bits.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.wanted: dict[int, int] = {}
        self.shifts: dict[int, int] = {}
        self._sums: dict[int, int] = {}

    def begin(self) -> None:
        """Forget the shifts of the last step."""
        self.shifts, self._sums = {}, {}

    def through(self, identifier: int, exponent: int) -> int:
        """Plan the requantising of sums at `exponent`; return the exponent of the operands."""
        wanted = self.wanted.get(identifier, exponent + FIRST_SHIFT)
        shift = min(MOST, max(0, wanted - exponent))
        self.shifts[identifier] = shift
        self._sums[identifier] = exponent
        return exponent + shift

    def measured(self, envelopes: NDArray[np.int64]) -> bool:
        """Learn from a run's envelopes; return whether any shift would have been another."""
        changed = False
        for identifier, exponent in self._sums.items():
            peak = int(envelopes[identifier])
            if peak:
                shift = shift_for(peak, self.width)
                self.wanted[identifier] = exponent + shift
                changed |= shift != self.shifts[identifier]
        return changed

    def state(self, network: Network) -> dict[str, int]:
        """Exponents by tensor name, for a checkpoint."""
        names = network.tensor_names()
        return {names[identifier]: exponent for identifier, exponent in self.wanted.items()}

    def restore(self, network: Network, state: Mapping[str, int]) -> None:
        """Take up the exponents of a checkpoint."""
        self.wanted = {network.identifier(name): exponent for name, exponent in state.items()}
