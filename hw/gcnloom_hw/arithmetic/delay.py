# SPDX-License-Identifier: Apache-2.0
"""Delay lines: a value now, one cycle ago, two cycles ago."""

from typing import Any

from amaranth import Module, Signal

__all__ = ["delay_line"]


def delay_line(
    m: Module, value: Any, cycles: int, *, name: str, reset_less: bool = True
) -> list[Any]:
    """Register `value` again and again.

    Parameters
    ----------
    m : Module
        The registers are added to its ``sync`` domain.
    value : Value or ValueCastable
    cycles : int
        Number of registers, 0 or more.
    name : str
        Of the registers, numbered from 1.
    reset_less : bool
        False for control, which must be quiet after reset.

    Returns
    -------
    list
        ``cycles + 1`` entries: entry `n` is `value` as it was `n` cycles ago.
    """
    line = [value]
    for age in range(1, cycles + 1):
        stage = Signal(value.shape(), name=f"{name}_{age}", reset_less=reset_less)
        m.d.sync += stage.eq(line[-1])
        line.append(stage)
    return line
