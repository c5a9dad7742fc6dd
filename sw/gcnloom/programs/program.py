# SPDX-License-Identifier: Apache-2.0
"""Program: a sequence of commands as a value that can be encoded, listed, patched and saved."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.archive import ArchiveError, read_arrays
from gcnloom.errors import ProgramError
from gcnloom.programs.encoding import LIMBS, decode, encode, patch, unpack_by_opcode
from gcnloom.programs.listing import listing
from gcnloom_spec.commands import Command
from gcnloom_spec.isa import ISA_VERSION, Opcode, Unit

__all__ = ["Program", "decode"]

EMITTING = (Opcode.DRAIN, Opcode.TRANSFORM)
FIELDS = ("words", "config_digest", "isa_version", "digest")
Sites = Mapping[int, Sequence[tuple[Opcode, NDArray[np.int64]]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """Commands for one configuration, kept packed; make one with :meth:`of`.

    Parameters
    ----------
    words : NDArray[np.uint64]
        Shape ``(commands, 4)``, read-only: see :func:`gcnloom.programs.encoding.encode`.
    config_digest : str
        Names the configuration the commands were made for.
    isa_version : int
    contents : Mapping[int, NDArray[np.uint64]]
        What some commands find on chip, by their number: the edges of an Aggregate, of shape
        ``(count, pes)``, or the entries of a Drain, packed as the device reads them. Cycles are
        predicted by it, results do not depend on it; it is neither encoded nor saved.

    Examples
    --------
    >>> from gcnloom_spec.commands import Load
    from gcnloom_spec.isa import Target
    >>> program = Program.of([Load(target=Target.EDGES, base=0, count=3, address=9)], "0" * 16)
    >>> print(program.listing())
    0  load  edges 0+3  from 0x9
    """

    words: NDArray[np.uint64]
    config_digest: str
    isa_version: int = ISA_VERSION
    contents: Mapping[int, NDArray[np.uint64]] = field(default_factory=dict, repr=False)
    _sites: list[Sites] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if self.words.dtype != np.uint64 or self.words.ndim != 2 or self.words.shape[1] != LIMBS:
            raise ProgramError(
                f"words are {self.words.dtype} of shape {self.words.shape}; "
                f"try uint64 of shape (commands, {LIMBS})"
            )
        self.words.flags.writeable = False

    @classmethod
    def of(
        cls,
        commands: Sequence[Command],
        config_digest: str,
        contents: Mapping[int, NDArray[np.uint64]] | None = None,
    ) -> "Program":
        """Program of typed commands, for the current command set."""
        program = cls(
            words=encode(commands), config_digest=config_digest, contents=dict(contents or {})
        )
        program.__dict__["commands"] = tuple(commands)
        return program

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        return (
            self.config_digest == other.config_digest
            and self.isa_version == other.isa_version
            and np.array_equal(self.words, other.words)
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """The typed commands."""
        return tuple(decode(self.words))

    def encode(self) -> NDArray[np.uint64]:
        """Packed commands, shape ``(len(self), 4)``, read-only."""
        return self.words

    def to_bytes(self) -> bytes:
        """Return what lies in device memory: 32 bytes a command, little endian."""
        return self.words.astype("<u8").tobytes()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, the configuration digest and the version of the command set."""
        state = hashlib.sha256(f"{self.isa_version} {self.config_digest} ".encode())
        state.update(self.to_bytes())
        return state.hexdigest()

    def listing(self, tensors: Mapping[int, str] | None = None) -> str:
        """Human assembly, one line a command; `tensors` names tensor ids."""
        return listing(self.commands, tensors or {})

    def with_shifts(self, shifts: Mapping[int, int]) -> "Program":
        """Program whose emissions of the given tensors requantise by the given right shifts.

        Costs a copy of the packed words and a few array operations, whatever the number of
        commands: the places are found once and shared by every program made from this one.
        """
        return self.with_fields({tensor: {"shift": shift} for tensor, shift in shifts.items()})

    def with_fields(
        self, changes: Mapping[int, Mapping[str, int]], opcodes: Sequence[Opcode] = EMITTING
    ) -> "Program":
        """Program whose emissions, or other commands, of the given tensors have other fields."""
        if not self._sites:
            self._sites.append(_sites(self.words))
        words = self.words.copy()
        for tensor, fields in changes.items():
            for opcode, where in self._sites[0].get(tensor, ()):
                for name, value in fields.items() if opcode in opcodes else ():
                    patch(words, where, opcode, name, value)
        return Program(
            words=words,
            config_digest=self.config_digest,
            isa_version=self.isa_version,
            contents=self.contents,
            # Those of another tensor number are elsewhere.
            _sites=[] if any("tensor" in each for each in changes.values()) else self._sites,
        )

    def beside(
        self, unit: Unit, before: Sequence[Command], behind: Sequence[Command],
        givers: Sequence[Unit],
    ) -> "Program":  # fmt: skip
        """Program in which a unit has other commands to run.

        Parameters
        ----------
        unit : Unit
        before, behind : sequence of Command
            Of that unit, without tokens; the former run from the start on, beside the program.
        givers : sequence of Unit
            The latter begin when the last command of each of these is complete.
        """
        words, waits = self.words.copy(), 0
        for giver in givers:
            where = [index for index, command in enumerate(self.commands) if command.unit == giver]
            if where and behind:
                last = self.commands[where[-1]]
                place = np.array(where[-1:])
                patch(words, place, last.opcode, "signals", last.signals | 1 << unit)
                waits |= 1 << giver
        first = [replace(command, waits=waits) for command in behind[:1]]
        return Program(
            words=np.vstack([encode(before), words, encode([*first, *behind[1:]])]),
            config_digest=self.config_digest,
            isa_version=self.isa_version,
            contents={len(before) + index: each for index, each in self.contents.items()},
        )

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file that :meth:`load` reads back."""
        parts = {"words": self.words, "config_digest": np.array(self.config_digest)}
        parts |= {"isa_version": np.array(self.isa_version), "digest": np.array(self.digest)}
        try:
            with Path(path).open("wb") as file:
                np.savez_compressed(file, **parts)  # type: ignore[arg-type]
        except OSError as error:
            raise ProgramError(
                f"cannot write program {str(path)!r}: {error.strerror}; try another path"
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> "Program":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ProgramError
            The file cannot be read, is no program, was damaged, or is for another version.
        """
        parts = _read(Path(path))
        version = int(parts["isa_version"].ravel()[0])
        if version != ISA_VERSION:
            raise ProgramError(
                f"{str(path)!r} is for version {version} of the command set, this is version "
                f"{ISA_VERSION}; try lowering the model again"
            )
        program = cls(
            words=parts["words"], config_digest=str(parts["config_digest"]), isa_version=version
        )
        if program.digest != str(parts["digest"]):
            raise ProgramError(
                f"{str(path)!r} does not match its digest {str(parts['digest'])[:16]}; "
                "try lowering the model again"
            )
        return program


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        parts = read_arrays(path)
    except OSError as error:
        reason = error.strerror or "it is no program file"
        raise ProgramError(
            f"cannot read program {str(path)!r}: {reason}; try a file written by Program.save"
        ) from error
    except ArchiveError as error:
        raise ProgramError(
            f"{str(path)!r} is truncated or no program: {error}; try a file written by Program.save"
        ) from error
    if set(parts) != set(FIELDS) or parts["isa_version"].dtype.kind not in "iu":
        raise ProgramError(
            f"{str(path)!r} is no program (it has {', '.join(sorted(parts)) or 'nothing'}); "
            "try a file written by Program.save"
        )
    return parts


def _sites(words: NDArray[np.uint64]) -> Sites:
    """Where each tensor is emitted, requantised, or stepped."""
    sites: dict[int, list[tuple[Opcode, NDArray[np.int64]]]] = {}
    groups = unpack_by_opcode(words)
    for opcode in (*EMITTING, Opcode.STEP):
        if opcode not in groups:
            continue
        where, columns = groups[opcode]
        emits = columns["vectors"] > 0 if opcode in EMITTING else columns["tensor"] >= 0
        for tensor in np.unique(columns["tensor"][emits]).tolist():
            chosen = where[emits & (columns["tensor"] == tensor)]
            sites.setdefault(tensor, []).append((opcode, chosen))
    return sites
