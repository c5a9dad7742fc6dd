# SPDX-License-Identifier: Apache-2.0
"""The device-memory read port, shared by fetch and load."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.streams.gearbox import unpacked_word
from gcnloom_hw.streams.queue import Queue

__all__ = ["ADDRESS_BITS", "OUTSTANDING", "ReadArbiter", "read_request"]

ADDRESS_BITS = 32
OUTSTANDING = 64
"""Reads in flight."""


def read_request():
    """Layout of a client's request: one word; `last` comes back with it."""
    return data.StructLayout({"address": ADDRESS_BITS, "last": 1})


class ReadArbiter(wiring.Component):
    """Two read clients on one in-order memory port.

    Client 0 has priority; it asks seldom. Answers return in order of asking, and each client
    must take its answers without waiting for the other's. Up to `outstanding` reads in flight.

    Parameters
    ----------
    memory_bytes : int
    outstanding : int

    Attributes
    ----------
    requests0, requests1 : In(stream.Signature(read_request()))
    words0, words1 : Out(stream.Signature(unpacked_word(memory_bytes)))
    addresses : Out(stream.Signature(ADDRESS_BITS))
    answers : In(stream.Signature(8 * memory_bytes))
    """

    addresses: stream.Interface
    answers: stream.Interface

    def __init__(self, memory_bytes: int, *, outstanding: int = OUTSTANDING) -> None:
        self._outstanding = outstanding
        word = unpacked_word(memory_bytes)
        super().__init__(
            {
                "requests0": In(stream.Signature(read_request())),
                "requests1": In(stream.Signature(read_request())),
                "words0": Out(stream.Signature(word)),
                "words1": Out(stream.Signature(word)),
                "addresses": Out(stream.Signature(ADDRESS_BITS)),
                "answers": In(stream.Signature(8 * memory_bytes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        owner = data.StructLayout({"client": 1, "last": 1})
        m.submodules.owners = owners = Queue(owner, depth=self._outstanding)
        # The address leaves through a queue, so that a memory's ready ends here.
        m.submodules.pending = pending = Queue(ADDRESS_BITS, depth=2)
        wiring.connect(m, inner=pending.o, outer=wiring.flipped(self.addresses))

        room = Signal()
        m.d.comb += room.eq(owners.i.ready & pending.i.ready)
        waiting = []
        for client, requests in enumerate((self.requests0, self.requests1)):
            queue = Queue(read_request(), depth=2)
            m.submodules[f"waiting{client}"] = queue
            wiring.connect(m, outer=wiring.flipped(requests), inner=queue.i)
            waiting.append(queue.o)
        for client, request in enumerate(waiting):
            blocked = waiting[0].valid if client else 0
            m.d.comb += request.ready.eq(room & ~blocked if client else room)
            with m.If(request.valid & request.ready):
                m.d.comb += [
                    owners.i.valid.eq(1),
                    owners.i.p.client.eq(client),
                    owners.i.p.last.eq(request.p.last),
                    pending.i.valid.eq(1),
                    pending.i.payload.eq(request.p.address),
                ]

        # After a reset, answers to reads from before it find no owner and are dropped.
        m.d.comb += self.answers.ready.eq(~owners.o.valid)
        for client, words in enumerate((self.words0, self.words1)):
            mine = Signal(name=f"mine{client}")
            m.d.comb += [
                mine.eq(owners.o.valid & (owners.o.p.client == client)),
                words.valid.eq(self.answers.valid & mine),
                words.p.data.eq(self.answers.payload),
                words.p.last.eq(owners.o.p.last),
            ]
            with m.If(mine):
                m.d.comb += [
                    self.answers.ready.eq(words.ready),
                    owners.o.ready.eq(words.ready & self.answers.valid),
                ]
        return m
