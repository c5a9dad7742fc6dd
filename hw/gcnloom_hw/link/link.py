# SPDX-License-Identifier: Apache-2.0
"""The device's side of a link: a UART's pins to the memory port and the register bus."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.link.buffer import RequestBuffer
from gcnloom_hw.link.config import LinkConfig
from gcnloom_hw.link.deframer import Deframer
from gcnloom_hw.link.executor import Executor
from gcnloom_hw.link.framer import BODY, Framer
from gcnloom_hw.link.rate import Rate
from gcnloom_hw.link.uart import UartReceiver, UartTransmitter
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.streams.half_buffer import HalfBuffer

__all__ = ["SerialLink"]


class SerialLink(wiring.Component):
    """Serve a host over a UART, as :mod:`gcnloom_spec.link` says.

    Parameters
    ----------
    config : LinkConfig

    Attributes
    ----------
    rx : In(1)
    tx : Out(1)
    addresses, words, writes : Out, In, Out
        The memory port, see :class:`~gcnloom_hw.accelerator.Accelerator`; used while not `running`.
    register_address, register_write, register_write_data, register_read_data : register bus
    running : In(1)
    """

    def __init__(self, config: LinkConfig) -> None:
        self._config = config
        super().__init__(
            {
                "rx": In(1),
                "tx": Out(1, init=1),
                "addresses": Out(stream.Signature(ADDRESS_BITS)),
                "words": In(stream.Signature(8 * config.memory_bytes)),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "register_address": Out(8),
                "register_write": Out(1),
                "register_write_data": Out(32),
                "register_read_data": In(32),
                "running": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver()
        m.submodules.deframer = deframer = Deframer()
        m.submodules.buffer = buffer = RequestBuffer(depth=self._config.buffer_bytes)
        m.submodules.executor = executor = Executor(self._config)
        m.submodules.framer = framer = Framer()
        m.submodules.transmitter = transmitter = UartTransmitter()
        m.submodules.rate = rate = Rate(base=self._config.base_increment)
        outer = wiring.flipped(self)
        wiring.connect(m, buffer=buffer.o, executor=executor.requests)
        # A byte is chosen from all that can be read, which takes the whole of a cycle.
        m.submodules.chosen = chosen = HalfBuffer(BODY)
        wiring.connect(m, executor=executor.answers, chosen=chosen.i)
        wiring.connect(m, chosen=chosen.o, framer=framer.body)
        wiring.connect(m, framer=framer.o, transmitter=transmitter.i)
        wiring.connect(m, outer=outer.words, inner=executor.words)
        # The memory is far. What is kept here has gone on before the next byte comes in.
        for name in ("addresses", "writes"):
            requests = getattr(executor, name)
            m.submodules[name] = half = HalfBuffer(requests.payload.shape())
            wiring.connect(m, executor=requests, half=half.i)
            wiring.connect(m, half=half.o, outer=getattr(outer, name))
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            *(getattr(deframer, name).eq(getattr(receiver, name)) for name in TO_DEFRAMER),
            *(getattr(buffer, name).eq(getattr(deframer, name)) for name in TO_BUFFER),
            deframer.room.eq(buffer.room),
            executor.broken.eq(deframer.abandon),
            executor.sent.eq(framer.idle & transmitter.idle),
            *(getattr(self, name).eq(getattr(executor, name)) for name in TO_REGISTERS),
            executor.register_read_data.eq(self.register_read_data),
            executor.running.eq(self.running),
            rate.change.eq(executor.change_rate),
            rate.wanted.eq(executor.increment),
            rate.good.eq(deframer.commit),
            rate.failed.eq(deframer.abandon | receiver.error),
            receiver.increment.eq(rate.increment),
            transmitter.increment.eq(rate.increment),
        ]
        return m


TO_DEFRAMER = ("data", "arrived", "error")
TO_BUFFER = ("byte", "put", "commit", "abandon", "units")
TO_REGISTERS = ("register_address", "register_write", "register_write_data")
