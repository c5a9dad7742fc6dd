# SPDX-License-Identifier: Apache-2.0
"""Agents for valid/ready streams: a source offers, a sink takes, a monitor watches the rules.

All drive after the rising edge of the clock and look at its falling edge, where combinational
paths through the device have settled: a transfer happens in a cycle whose falling edge sees
`valid` and `ready`.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import cocotb
from cocotb.triggers import Event, FallingEdge, RisingEdge

from gcnloom_sim.bench.ports import Packet, Ports

__all__ = ["Monitor", "ProtocolError", "Sink", "Source"]


class ProtocolError(Exception):
    """A producer broke the rules of a stream."""


class Source:
    """Offer packets in order; `valid` waits for stalls before a packet, never during one.

    Parameters
    ----------
    ports : Ports
    clock : handle
    stalls : iterator of bool
    """

    def __init__(self, ports: Ports, clock: Any, stalls: Iterator[bool]) -> None:
        self._ports, self._clock, self._stalls = ports, clock, stalls
        self._queue: deque[tuple[int, Packet]] = deque()
        self._cycle = 0
        self._empty = Event()
        self._empty.set()
        ports.valid.value = 0
        cocotb.start_soon(self._run())

    def offer(self, packet: Packet, *, after: int = 0) -> None:
        """Append a packet, to be offered at least `after` cycles from now."""
        self._queue.append((self._cycle + after, packet))
        self._empty.clear()

    async def drained(self) -> None:
        """Wait until every packet was taken."""
        await self._empty.wait()

    async def _run(self) -> None:
        ports, offering = self._ports, False
        while True:
            await RisingEdge(self._clock)
            self._cycle += 1
            if not offering:
                due = bool(self._queue) and self._queue[0][0] <= self._cycle
                offering = due and not next(self._stalls)
                if offering:
                    ports.write(self._queue[0][1])
                ports.valid.value = int(offering)
            await FallingEdge(self._clock)
            if offering and ports.ready.value:
                self._queue.popleft()
                offering = False
                if not self._queue:
                    self._empty.set()


class Monitor:
    """Report every transfer; raise :class:`ProtocolError` if an offer changes or goes away.

    Parameters
    ----------
    ports : Ports
    clock : handle
    report : callable
        Called with each packet transferred.
    """

    def __init__(self, ports: Ports, clock: Any, report: Callable[[Packet], None]) -> None:
        self._ports, self._clock, self._report = ports, clock, report
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        offered: Packet | None = None
        while True:
            await FallingEdge(self._clock)
            packet = self._ports.read() if self._ports.valid.value else None
            if offered is not None and packet != offered:
                raise ProtocolError(
                    f"{self._ports.name}: offered {offered}, then {packet}, before it was taken"
                )
            offered = packet
            if packet is not None and self._ports.ready.value:
                offered = None
                self._report(packet)


class Sink:
    """Take packets where stalls allow, and watch the stream with a :class:`Monitor`.

    Parameters
    ----------
    ports : Ports
    clock : handle
    stalls : iterator of bool
    report : callable
        Called with each packet taken.
    """

    def __init__(
        self, ports: Ports, clock: Any, stalls: Iterator[bool], report: Callable[[Packet], None]
    ) -> None:
        self._ports, self._clock, self._stalls = ports, clock, stalls
        self.monitor = Monitor(ports, clock, report)
        ports.ready.value = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await RisingEdge(self._clock)
            self._ports.ready.value = int(not next(self._stalls))
