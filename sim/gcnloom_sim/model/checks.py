# SPDX-License-Identifier: Apache-2.0
"""Checks that the engines of the model share."""

from gcnloom.errors import ProgramError
from gcnloom_spec.commands import Command, Repeat, Transform, units_of
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode, Unit

__all__ = ["check_known", "check_range"]


def check_range(name: str, base: int, count: int, depth: int) -> slice:
    """Items ``base .. base + count - 1`` of a memory as a slice, if they exist."""
    if count < 1:
        raise ProgramError(f"{name}: count is {count}; try at least 1")
    if base + count > depth:
        raise ProgramError(
            f"{name} {base}..{base + count - 1} is outside the {depth} there are; try smaller tiles"
        )
    return slice(base, base + count)


def check_known(command: Command | Repeat, config: AcceleratorConfig) -> None:
    """Raise ProgramError if the device does not know a command."""
    if not isinstance(command, Repeat) and command.unit not in units_of(config):
        remedy = "a master_width of 16" if command.unit is Unit.UPDATE else "pes of at least 1"
        raise ProgramError(f"the device has no {command.unit.name.lower()} unit; try {remedy}")
    if config.compact and isinstance(command, Repeat):
        raise ProgramError("a compact device has no repeats; try one with compact = 0")
    outer = isinstance(command, Transform) and command.mode == Mode.OUTPUT_STATIONARY
    if config.compact and outer:
        raise ProgramError(
            "a compact device has no output-stationary products; try one with compact = 0"
        )
