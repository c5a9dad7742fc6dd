# SPDX-License-Identifier: Apache-2.0
"""The scales of the model: exponents and shifts of tensors, chosen from step to step."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom_spec.commands import Scale
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import WORDS, Opcode, Rule
from gcnloom_spec.number import shift_for, wrap
from gcnloom_spec.registers import MOST_SHIFT, STATISTICS

__all__ = ["Scales"]

EXPONENT, WANTED, SHIFT = range(3)
EXPONENT_BITS = -WORDS[Opcode.SCALE].fields["exponent"]


class Scales:
    """Zero at first; kept from program to program.

    Attributes
    ----------
    table : NDArray[np.int64]
        Exponents, wanted exponents and shifts, a row each, by tensor id.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self._width = config.operand_width
        self.table = np.zeros((3, STATISTICS), dtype=np.int64)

    def shift(self, tensor: int) -> int:
        """Shift of a tensor."""
        return int(self.table[SHIFT, tensor])

    @staticmethod
    def _wrapped(exponent: int) -> int:
        """Return what the table's bits hold of an exponent."""
        return int(wrap(np.array(exponent, dtype=np.int64), EXPONENT_BITS))

    def execute(self, command: Scale, envelopes: NDArray[np.int64]) -> None:
        """Execute a :class:`Scale`; a tensor that is fitted loses its envelope."""
        table, tensor = self.table, command.tensor
        if command.rule == Rule.SET:
            table[:, tensor] = command.exponent, command.wanted, 0
        elif command.rule == Rule.SAME:
            table[:, tensor] = table[:, command.left]
        elif command.rule == Rule.FIT:
            exponent, wanted, shift = table[:, tensor].tolist()
            peak = int(envelopes[tensor])
            if peak:
                wanted = self._wrapped(exponent - shift + shift_for(peak, self._width))
            envelopes[tensor] = 0
            sums = int(table[EXPONENT, command.left] + table[EXPONENT, command.right])
            shift = min(MOST_SHIFT, max(0, wanted - sums))
            table[:, tensor] = self._wrapped(sums + shift), wanted, shift
        else:
            raise ProgramError(f"rule {command.rule} is unknown; try one of isa.Rule")
