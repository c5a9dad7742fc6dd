# SPDX-License-Identifier: Apache-2.0
"""The device-memory port, shared by those who read and by those who write."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.streams.gearbox import unpacked_word
from gcnloom_hw.streams.queue import Queue

__all__ = [
    "ADDRESS_BITS",
    "OUTSTANDING",
    "ReadArbiter",
    "WriteArbiter",
    "read_request",
    "write_request",
]

ADDRESS_BITS = 32
OUTSTANDING = 64
"""Reads in flight."""


def read_request():
    """Layout of a client's request: one word; `last` comes back with it."""
    return data.StructLayout({"address": ADDRESS_BITS, "last": 1})


def write_request(memory_bytes):
    """Layout of a memory write: `mask` has a bit for each byte to write."""
    return data.StructLayout(
        {"address": ADDRESS_BITS, "data": 8 * memory_bytes, "mask": memory_bytes}
    )


class ReadArbiter(wiring.Component):
    """Several read clients on one in-order memory port.

    A client goes before those with higher numbers. Answers return in order of asking, and each
    client must take its answers without waiting for another's. Up to `outstanding` reads in flight.

    Parameters
    ----------
    memory_bytes : int
    clients : int
    outstanding : int
    buffer : int
        Requests of each client, and granted addresses, that wait in a queue.

    Attributes
    ----------
    requests0, requests1, ... : In(stream.Signature(read_request()))
    words0, words1, ... : Out(stream.Signature(unpacked_word(memory_bytes)))
    addresses : Out(stream.Signature(ADDRESS_BITS))
    answers : In(stream.Signature(8 * memory_bytes))
    """

    addresses: stream.Interface
    answers: stream.Interface

    def __init__(
        self, memory_bytes: int, *, clients: int = 2, outstanding: int = OUTSTANDING,
        buffer: int = 2,
    ) -> None:  # fmt: skip
        self._outstanding, self._buffer = outstanding, buffer
        self._clients = range(clients)
        word = unpacked_word(memory_bytes)
        super().__init__(
            {
                **{f"requests{i}": In(stream.Signature(read_request())) for i in self._clients},
                **{f"words{i}": Out(stream.Signature(word)) for i in self._clients},
                "addresses": Out(stream.Signature(ADDRESS_BITS)),
                "answers": In(stream.Signature(8 * memory_bytes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        owner = data.StructLayout({"client": range(len(self._clients)), "last": 1})
        # In flip-flops: whose a word is decides whether it is taken.
        m.submodules.owners = owners = Queue(owner, depth=self._outstanding, registered=owner.size)
        # The address leaves through a queue, so that a memory's ready ends here.
        m.submodules.pending = pending = Queue(ADDRESS_BITS, depth=self._buffer)
        wiring.connect(m, inner=pending.o, outer=wiring.flipped(self.addresses))

        room = Signal()
        m.d.comb += room.eq(owners.i.ready & pending.i.ready)
        waiting = []
        for client in self._clients:
            requests = getattr(self, f"requests{client}")
            queue = Queue(read_request(), depth=self._buffer)
            m.submodules[f"waiting{client}"] = queue
            wiring.connect(m, outer=wiring.flipped(requests), inner=queue.i)
            waiting.append(queue.o)
        blocked = 0
        for client, request in enumerate(waiting):
            m.d.comb += request.ready.eq(room & ~blocked if client else room)
            blocked = blocked | request.valid
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
        for client in self._clients:
            words = getattr(self, f"words{client}")
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


class WriteArbiter(wiring.Component):
    """Several clients that write through one port, in turns.

    The turn stays with a client while nobody else waits, and passes on with a transfer otherwise.
    There is no register on the way: what a client sees accepted, memory has accepted.

    Parameters
    ----------
    shape : ShapeLike
    clients : int

    Attributes
    ----------
    i0, i1, ... : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    o: stream.Interface

    def __init__(self, shape, *, clients: int) -> None:
        self._clients = clients
        super().__init__(
            {
                **{f"i{index}": In(stream.Signature(shape)) for index in range(clients)},
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        inputs = [getattr(self, f"i{index}") for index in range(self._clients)]
        turn = Signal(range(self._clients))
        with m.Switch(turn):
            for index, served in enumerate(inputs):
                with m.Case(index):
                    m.d.comb += [
                        self.o.valid.eq(served.valid),
                        self.o.payload.eq(served.payload),
                        served.ready.eq(self.o.ready),
                    ]
                    with m.If(self.o.ready | ~served.valid):
                        for offset in reversed(range(1, self._clients)):
                            following = (index + offset) % self._clients
                            with m.If(inputs[following].valid):
                                m.d.sync += turn.eq(following)
        return m
