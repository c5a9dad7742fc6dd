# SPDX-License-Identifier: Apache-2.0
"""Registers that carry a value along a pipeline."""

from amaranth import Module, Signal, Value
from amaranth.hdl import ValueLike

__all__ = ["delay"]


def delay(m: Module, value: ValueLike, cycles: int, *, name: str, reset_less: bool = True) -> Value:
    """Return `value` as it was `cycles` cycles ago.

    Parameters
    ----------
    m : Module
        Where the registers go.
    value : ValueLike
    cycles : int
    name : str
        Of the registers, numbered from 1.
    reset_less : bool
        False for control: the registers start at zero after a reset.
    """
    value = Value.cast(value)
    for cycle in range(1, cycles + 1):
        register = Signal(value.shape(), name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value
