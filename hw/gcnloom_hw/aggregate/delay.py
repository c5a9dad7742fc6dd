# SPDX-License-Identifier: Apache-2.0
"""A value some cycles later."""

from amaranth import Module, Signal
from amaranth.hdl import ValueLike

__all__ = ["delayed"]


def delayed(
    m: Module, value: ValueLike, cycles: int, *, name: str, reset_less: bool = True
) -> list[ValueLike]:
    """Chain registers behind `value`: entry ``k`` of the result is `value` ``k`` cycles later.

    Parameters
    ----------
    m : Module
    value : ValueLike
        Entry 0 of the result.
    cycles : int
        Number of registers, 0 or more.
    name : str
        Entry ``k`` is called ``name_k``.
    reset_less : bool
        False for flags, which reset must clear.
    """
    chain = [value]
    for cycle in range(1, cycles + 1):
        register = Signal.like(chain[-1], name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += register.eq(chain[-1])
        chain.append(register)
    return chain
