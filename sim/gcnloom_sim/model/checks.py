# SPDX-License-Identifier: Apache-2.0
"""Checks that the engines of the model share."""

from gcnloom.errors import ProgramError
from gcnloom_spec.commands import Command, Repeat, Transform, units_of
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode, Unit

__all__ = ["check_compact", "check_range", "check_unit"]


def check_range(name: str, base: int, count: int, depth: int) -> slice:
    """Items ``base .. base + count - 1`` of a memory as a slice, if they exist."""
    if count < 1:
        raise ProgramError(f"{name}: count is {count}; try at least 1")
    if base + count > depth:
        raise ProgramError(
            f"{name} {base}..{base + count - 1} is outside the {depth} there are; try smaller tiles"
        )
    return slice(base, base + count)


def check_unit(unit: Unit, config: AcceleratorConfig) -> None:
    """Raise ProgramError if the device has no such unit."""
    if unit not in units_of(config):
        remedy = "a master_width of 16" if unit is Unit.UPDATE else "pes of at least 1"
        raise ProgramError(f"the device has no {unit.name.lower()} unit; try {remedy}")


def check_compact(command: Command | Repeat, config: AcceleratorConfig) -> None:
    """Raise ProgramError if a compact accelerator does not know what a command asks for."""
    if not config.compact:
        return
    missing = {"repeats": isinstance(command, Repeat)}
    if isinstance(command, Transform):
        missing["output-stationary products"] = command.mode == Mode.OUTPUT_STATIONARY
    for name, wanted in missing.items():
        if wanted:
            raise ProgramError(f"a compact device has no {name}; try one with compact = 0")
