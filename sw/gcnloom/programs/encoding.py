# SPDX-License-Identifier: Apache-2.0
"""Commands to packed 256-bit words and back, by the hundred thousand."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom_spec.commands import COMMANDS, Command, Emission, Repeat
from gcnloom_spec.isa import COMMAND_BYTES, EMISSION, WORDS, Opcode

__all__ = ["LIMBS", "decode", "encode", "opcodes", "patch", "unpack_by_opcode"]

LIMBS = COMMAND_BYTES // 8
OPCODE_MASK = np.uint64(0xF)


def encode(commands: Sequence[Command | Repeat]) -> NDArray[np.uint64]:
    """Pack commands into an array of shape ``(len(commands), LIMBS)``.

    Raises
    ------
    ProgramError
        A field's value does not fit.
    """
    words = np.zeros((len(commands), LIMBS), dtype=np.uint64)
    for opcode, word in WORDS.items():
        where = [index for index, command in enumerate(commands) if command.opcode == opcode]
        if not where:
            continue
        columns = _columns([commands[index] for index in where], COMMANDS[opcode])
        try:
            words[where, : word.limbs] = word.pack(opcode=opcode, **columns)
        except ValueError as error:
            raise ProgramError(f"{error}; try values within the field") from error
    return words


def _columns(group: Sequence[Any], kind: type[Command] | type[Repeat]) -> dict[str, list[int]]:
    """Every field of commands of one kind, those of their emissions included."""
    names = [field.name for field in fields(kind) if field.name != "emission"]
    columns = {name: [getattr(command, name) for command in group] for name in names}
    if len(names) < len(fields(kind)):
        emissions = [command.emission for command in group]
        columns |= {name: [getattr(item, name) for item in emissions] for name in EMISSION}
    return columns


def opcodes(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Opcode field of every command."""
    return words[:, 0] & OPCODE_MASK


def unpack_by_opcode(
    words: NDArray[np.uint64],
) -> Mapping[Opcode, tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]]:
    """Split commands by opcode: where each kind stands, and its fields as arrays.

    Raises
    ------
    ProgramError
        An opcode is unknown.
    """
    codes = opcodes(words)
    known = np.isin(codes, [int(opcode) for opcode in Opcode])
    if not known.all():
        index = int(np.flatnonzero(~known)[0])
        raise ProgramError(
            f"command {index} has unknown opcode {int(codes[index])}; "
            "try lowering the program again with this version"
        )
    groups = {}
    for opcode, word in WORDS.items():
        where = np.flatnonzero(codes == opcode)
        if where.size:
            groups[opcode] = (where, word.unpack(words[where, : word.limbs]))
    return MappingProxyType(groups)


def decode(words: NDArray[np.uint64]) -> list[Command]:
    """Typed commands of packed words; inverse of :func:`encode`."""
    commands: list[Any] = [None] * len(words)
    for opcode, (where, columns) in unpack_by_opcode(words).items():
        kind: Any = COMMANDS[opcode]
        names = [field.name for field in fields(kind) if field.name != "emission"]
        own = [columns[name].tolist() for name in names]
        emissions: list[Emission] | None = None
        if len(names) < len(fields(kind)):
            parts = [columns[name].tolist() for name in EMISSION]
            emissions = [
                Emission(**dict(zip(EMISSION, values, strict=True)))
                for values in zip(*parts, strict=True)
            ]
        for place, (index, values) in enumerate(
            zip(where.tolist(), zip(*own, strict=True), strict=True)
        ):
            arguments = dict(zip(names, values, strict=True))
            if emissions is not None:
                arguments["emission"] = emissions[place]
            commands[index] = kind(**arguments)
    return commands


def patch(
    words: NDArray[np.uint64], where: NDArray[np.int64], opcode: Opcode, name: str, value: int
) -> None:
    """Set one unsigned field of the commands at `where`, all of kind `opcode`, in place."""
    word = WORDS[opcode]
    width = word.fields[name]
    if not 0 <= value < 1 << width:
        raise ProgramError(f"{name}={value} does not fit {width} bits; try 0..{(1 << width) - 1}")
    limb, offset = divmod(word.offsets[name], 64)
    mask, bits = ((1 << width) - 1) << offset, value << offset
    for part in range(1 + (offset + width > 64)):
        low = np.uint64(mask >> (64 * part) & (1 << 64) - 1)
        words[where, limb + part] &= ~low
        words[where, limb + part] |= np.uint64(bits >> (64 * part) & (1 << 64) - 1)
