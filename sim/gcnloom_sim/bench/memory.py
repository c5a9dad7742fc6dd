# SPDX-License-Identifier: Apache-2.0
"""A device memory behind the accelerator's flat memory port."""

from collections.abc import Callable, Iterator
from typing import Any

from gcnloom_sim.bench.ports import Packet, flat_ports
from gcnloom_sim.bench.stream import Sink, Source

__all__ = ["AddressError", "MemoryAgent"]


class AddressError(Exception):
    """The device reached outside its memory."""


class MemoryAgent:
    """Answer reads in order, obey byte masks, stall each stream of the port on its own.

    A read gets what the memory holds when it is accepted, the least that the port promises.

    Parameters
    ----------
    dut : handle
        Has the ports of :class:`gcnloom_hw.top.Top`.
    memory : bytearray
        Read and changed in place.
    word_bytes : int
    latency : int
        Least number of cycles from a read to its answer, at least 1.
    stalls : callable
        Stalls of the streams ``read``, ``answer`` and ``write``.
    """

    def __init__(
        self,
        dut: Any,
        memory: bytearray,
        word_bytes: int,
        *,
        latency: int,
        stalls: Callable[[str], Iterator[bool]],
    ) -> None:
        self._memory, self._size, self._latency = memory, word_bytes, latency
        self._answers = Source(flat_ports(dut, "answer", "data"), dut.clk, stalls("answer"))
        reads = flat_ports(dut, "read", "address")
        self._reads = Sink(reads, dut.clk, stalls("read"), self._read)
        writes = flat_ports(dut, "write", "address", "data", "mask")
        self._writes = Sink(writes, dut.clk, stalls("write"), self._write)

    def _read(self, packet: Packet) -> None:
        word = self._word("read", packet)
        data = int.from_bytes(self._memory[word], "little")
        self._answers.offer({"data": data}, after=self._latency)

    def _write(self, packet: Packet) -> None:
        word = self._word("write", packet)
        data = packet["data"].to_bytes(self._size, "little")
        for index in range(self._size):
            if packet["mask"] >> index & 1:
                self._memory[word.start + index] = data[index]

    def _word(self, what: str, packet: Packet) -> slice:
        start = packet["address"] * self._size
        if start + self._size > len(self._memory):
            raise AddressError(
                f"{what} of word {packet['address']}; the memory has "
                f"{len(self._memory) // self._size}"
            )
        return slice(start, start + self._size)
