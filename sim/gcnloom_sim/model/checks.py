# SPDX-License-Identifier: Apache-2.0
"""Checks that the engines of the model share."""

from gcnloom.errors import ProgramError

__all__ = ["check_range"]


def check_range(name: str, base: int, count: int, depth: int) -> slice:
    """Items ``base .. base + count - 1`` of a memory as a slice, if they exist."""
    if count < 1:
        raise ProgramError(f"{name}: count is {count}; try at least 1")
    if base + count > depth:
        raise ProgramError(
            f"{name} {base}..{base + count - 1} is outside the {depth} there are; try smaller tiles"
        )
    return slice(base, base + count)
