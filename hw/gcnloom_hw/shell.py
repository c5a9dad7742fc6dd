# SPDX-License-Identifier: Apache-2.0
"""An accelerator with its memory, behind the two pins of a UART: all that a board needs."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.accelerator import Accelerator
from gcnloom_hw.dram.pins import SdramPins
from gcnloom_hw.link.config import LinkConfig
from gcnloom_hw.link.link import SerialLink
from gcnloom_hw.memory.kinds import External, MemoryKind, Sdram
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.streams.skid import Skid
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["SerialShell"]


class SerialShell(wiring.Component):
    """:class:`~gcnloom_hw.accelerator.Accelerator`, memory and link.

    The memory port is the accelerator's while it runs and the link's while it does not.

    Parameters
    ----------
    config : AcceleratorConfig
    clock_hz : int
        Of the domain `sync`.
    memory : MemoryKind
        :class:`~gcnloom_hw.memory.kinds.BlockRam`, ``Sdram`` or ``External``.
    buffer_bytes, payload_bytes : int
        See :class:`~gcnloom_hw.link.config.LinkConfig`.

    Attributes
    ----------
    rx : In(1)
        May be asynchronous.
    tx : Out(1)
    running : Out(1)
    sdram_clk_en, sdram_cs, ... : see :class:`~gcnloom_hw.dram.pins.SdramPins`
        With ``Sdram``.
    read_valid, read_ready, read_address, answer_valid, ... : see :class:`~gcnloom_hw.top.Top`
        With ``External``.
    """

    def __init__(
        self, config: AcceleratorConfig, *, clock_hz: int, memory: MemoryKind,
        buffer_bytes: int = 1024, payload_bytes: int = 256,
    ) -> None:  # fmt: skip
        self.config, self.memory = config, memory
        self.link = LinkConfig(
            memory_bytes=config.memory_bytes,
            memory_words=memory.words,
            clock_hz=clock_hz,
            digest=config.digest,
            buffer_bytes=buffer_bytes,
            payload_bytes=payload_bytes,
        )
        super().__init__(
            {"rx": In(1), "tx": Out(1, init=1), "running": Out(1), **self._memory_ports()}
        )

    def _memory_ports(self):
        size = self.config.memory_bytes
        match self.memory:
            case Sdram(config=sdram):
                return {f"sdram_{name}": pin for name, pin in SdramPins(sdram).members.items()}
            case External():
                return {
                    "read_valid": Out(1),
                    "read_ready": In(1),
                    "read_address": Out(ADDRESS_BITS),
                    "answer_valid": In(1),
                    "answer_ready": Out(1),
                    "answer_data": In(8 * size),
                    "write_valid": Out(1),
                    "write_ready": In(1),
                    "write_address": Out(ADDRESS_BITS),
                    "write_data": Out(8 * size),
                    "write_mask": Out(size),
                }
        return {}

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = accelerator = Accelerator(self.config)
        m.submodules.link = link = SerialLink(self.link)
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            accelerator.register_address.eq(link.register_address),
            accelerator.register_write.eq(link.register_write),
            accelerator.register_write_data.eq(link.register_write_data),
            link.register_read_data.eq(accelerator.register_read_data),
            link.running.eq(accelerator.running),
            self.running.eq(accelerator.running),
        ]
        size = self.config.memory_bytes
        addresses = stream.Signature(ADDRESS_BITS).create(path=("addresses",))
        answers = stream.Signature(8 * size).create(path=("answers",))
        writes = stream.Signature(write_request(size)).create(path=("writes",))
        self._share(m, accelerator, link, addresses, answers, writes)
        self._connect(m, addresses, answers, writes)
        return m

    @staticmethod
    def _share(m, accelerator, link, addresses, answers, writes):
        """Give the memory port to the accelerator while it runs, to the link else."""
        m.d.comb += [
            accelerator.answers.payload.eq(answers.payload),
            link.words.payload.eq(answers.payload),
        ]
        # A cycle late and from a flip-flop, for it goes far; neither side asks for anything when
        # a run begins or ends. Payloads have one of their own, and do not draw the other over the
        # die.
        running, wide = (Signal(name=name, attrs={"keep": 1}) for name in ("running", "wide"))
        m.d.sync += [running.eq(accelerator.running), wide.eq(accelerator.running)]
        for runs, client, words in (
            (True, accelerator, accelerator.answers), (False, link, link.words)
        ):  # fmt: skip
            with m.If(running if runs else ~running):
                m.d.comb += [
                    addresses.valid.eq(client.addresses.valid),
                    client.addresses.ready.eq(addresses.ready),
                    words.valid.eq(answers.valid),
                    answers.ready.eq(words.ready),
                    writes.valid.eq(client.writes.valid),
                    client.writes.ready.eq(writes.ready),
                ]
        m.d.comb += [
            addresses.payload.eq(Mux(wide, accelerator.addresses.payload, link.addresses.payload)),
            writes.payload.eq(
                Mux(
                    wide,
                    accelerator.writes.payload.as_value(),
                    link.writes.payload.as_value(),
                )
            ),
        ]

    def _connect(self, m, addresses, answers, writes):
        memory = self.memory.component(self.config.memory_bytes)
        if memory is None:
            m.d.comb += [
                self.read_valid.eq(addresses.valid),
                addresses.ready.eq(self.read_ready),
                self.read_address.eq(addresses.payload),
                answers.valid.eq(self.answer_valid),
                self.answer_ready.eq(answers.ready),
                answers.payload.eq(self.answer_data),
                self.write_valid.eq(writes.valid),
                writes.ready.eq(self.write_ready),
                self.write_address.eq(writes.p.address),
                self.write_data.eq(writes.p.data),
                self.write_mask.eq(writes.p.mask),
            ]
            return
        m.submodules.memory = memory
        wiring.connect(m, port=addresses, memory=memory.addresses)
        self._answer(m, memory.answers, answers)
        wiring.connect(m, port=writes, memory=memory.writes)
        if "pins" in memory.signature.members:
            for name, member in memory.pins.signature.members.items():
                inner, outer = getattr(memory.pins, name), getattr(self, f"sdram_{name}")
                m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)

    def _answer(self, m, memory, answers):
        """Hand answers on; whether they are taken is decided far from a large one's memory."""
        if not self.config.compact and not self.memory.buffers_answers:
            m.submodules.answers = skid = Skid(answers.p.shape())
            wiring.connect(m, memory=memory, skid=skid.i)
            memory = skid.o
        wiring.connect(m, memory=memory, port=wiring.flipped(answers))
