# SPDX-License-Identifier: Apache-2.0
"""Kinds of device memory that a shell can have."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from amaranth.lib import wiring

from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.controller import SdramController
from gcnloom_hw.memory.block_ram import BlockRamMemory
from gcnloom_hw.memory.spram import SpramMemory
from gcnloom_hw.memory.tiered import TieredMemory
from gcnloom_hw.memory.whole import WholeWords

__all__ = ["BlockRam", "External", "MemoryKind", "Sdram", "Spram"]


@dataclass(frozen=True, kw_only=True)
class MemoryKind(ABC):
    """A device memory; each kind makes a component with the streams of a memory port.

    Parameters
    ----------
    words : int
        Of the accelerator's memory word.
    """

    words: int

    @property
    def buffers_answers(self) -> bool:
        """Whether what says that an answer is there, or may come, is a flip-flop."""
        return False

    @abstractmethod
    def component(self, memory_bytes: int) -> wiring.Component | None:
        """Return `addresses`, `answers` and `writes`, and perhaps `pins`; or nothing."""


@dataclass(frozen=True, kw_only=True)
class BlockRam(MemoryKind):
    """Block RAM of the part."""

    def component(self, memory_bytes: int) -> wiring.Component:
        """Return a :class:`~gcnloom_hw.memory.block_ram.BlockRamMemory`."""
        return BlockRamMemory(memory_bytes=memory_bytes, words=self.words)


@dataclass(frozen=True, kw_only=True)
class Spram(MemoryKind):
    """The single-port RAMs of an iCE40UP5K."""

    def component(self, memory_bytes: int) -> wiring.Component:
        """Return a :class:`~gcnloom_hw.memory.spram.SpramMemory`."""
        memory = SpramMemory(memory_bytes=memory_bytes)
        if self.words > memory.words:
            raise ValueError(
                f"words={self.words} of {memory_bytes} bytes are more than an iCE40UP5K has; "
                f"use {memory.words}"
            )
        return memory


@dataclass(frozen=True, kw_only=True)
class External(MemoryKind):
    """A memory outside of the shell, whose streams are ports of it."""

    def component(self, memory_bytes: int) -> None:
        """Return nothing: the shell's own ports stand for it."""


@dataclass(frozen=True, kw_only=True)
class Sdram(MemoryKind):
    """An SDR SDRAM, whose pins are ports of the shell.

    Parameters
    ----------
    config : SdramConfig
    masked : bool
        Whether the board has lines for its byte masks; without, a word of which only some bytes
        are written is read first.
    near_words : int
        The first words, which are in block RAM.
    """

    config: SdramConfig
    masked: bool = True
    near_words: int = 0

    def __post_init__(self) -> None:
        part = self.config.part
        bits = part.data_bits * part.banks << (part.row_bits + part.column_bits)
        there = bits // (8 * self.config.memory_bytes)
        if self.words > there:
            raise ValueError(
                f"words={self.words} of {self.config.memory_bytes} bytes are more than "
                f"{part.name} has; use {there}"
            )

    @property
    def buffers_answers(self) -> bool:
        """They leave a ``TieredMemory`` through a queue."""
        return bool(self.near_words)

    def component(self, memory_bytes: int) -> wiring.Component:
        """Return a controller, perhaps behind ``WholeWords`` and in a ``TieredMemory``."""
        if memory_bytes != self.config.memory_bytes:
            raise ValueError(
                f"the SDRAM is for words of {self.config.memory_bytes} bytes, the accelerator's "
                f"have {memory_bytes}; make SdramConfig with memory_bytes={memory_bytes}"
            )
        controller = SdramController(self.config)
        far = controller if self.masked else WholeWords(controller, memory_bytes=memory_bytes)
        if not self.near_words:
            return far
        return TieredMemory(memory_bytes=memory_bytes, near_words=self.near_words, far=far)
