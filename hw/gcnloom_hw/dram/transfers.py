# SPDX-License-Identifier: Apache-2.0
"""Words to and from the SDRAM's data pins."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.countdown import Countdown
from gcnloom_hw.streams.queue import CreditedQueue

__all__ = ["Transfers", "written_word"]

ANSWERS = 16
"""Words read that wait for the accelerator, those under way included."""


def written_word(config: SdramConfig):
    """Layout of a word to write: `mask` has a bit for each byte to write."""
    return data.StructLayout({"data": 8 * config.memory_bytes, "mask": config.memory_bytes})


class Transfers(wiring.Component):
    """Put words written on the data pins, and take words read from them.

    A burst's transfers follow its command without a pause: those of a write at once, those of a
    read when the part gives them.

    Parameters
    ----------
    config : SdramConfig

    Attributes
    ----------
    read, write : In(1)
        A burst begins with the command of this clock, which is on the pins in the next.
    words : In(stream.Signature(written_word(config)))
        There is one at each write.
    available, take : Out(1), In(1)
        Room for an answer, and a read that takes it.
    answers : Out(stream.Signature(8 * config.memory_bytes))
    masked : In(1)
        Hold all of `dqm` high.
    dqm, dq_o, dq_oe : Out
    dq_i : In
    """

    words: stream.Interface
    answers: stream.Interface

    def __init__(self, config: SdramConfig) -> None:
        self._config = config
        bits = config.part.data_bits
        super().__init__(
            {
                "read": In(1),
                "write": In(1),
                "words": In(stream.Signature(written_word(config))),
                "available": Out(1),
                "take": In(1),
                "answers": Out(stream.Signature(8 * config.memory_bytes)),
                "masked": In(1),
                "dqm": Out(bits // 8, init=-1),
                "dq_o": Out(bits),
                "dq_oe": Out(1),
                "dq_i": In(bits),
            }
        )
        self.queue = CreditedQueue(8 * config.memory_bytes, depth=ANSWERS)
        self.giving = Countdown("giving", config.burst)
        self.giving.after(self.write, config.burst)
        self.taking = Countdown("taking", config.burst)
        self.taking.after(self.read, config.burst)

    def elaborate(self, platform):
        m = Module()
        self._give(m)
        self._take(m)
        return m

    def _place(self, m, moves, name):
        """Which transfer of its word it is, and whether it is the last."""
        bits = (self._config.transfers - 1).bit_length()
        if not bits:
            return Const(0, 1), Const(1, 1)
        place = Signal(bits, name=name)
        with m.If(moves):
            m.d.sync += place.eq(place + 1)
        return place, place.all()

    def _give(self, m):
        bits = self._config.part.data_bits
        self.giving.elaborate_into(m)
        giving = self.write | ~self.giving.over
        place, last = self._place(m, giving, "given")
        mask = self.words.p.mask.word_select(place, bits // 8)
        m.d.comb += self.words.ready.eq(giving & last)
        m.d.sync += [
            self.dq_oe.eq(giving),
            self.dq_o.eq(self.words.p.data.word_select(place, bits)),
            self.dqm.eq(Mux(giving, ~mask, self.masked.replicate(bits // 8))),
        ]

    def _take(self, m):
        config = self._config
        bits = config.part.data_bits
        m.submodules.answers = queue = self.queue
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.answers))
        m.d.comb += [self.available.eq(queue.available), queue.take.eq(self.take)]

        # The command's register, the part's latency, and two registers on the way from the pins
        # to the queue, which is long.
        late = 1 + config.clocks.cas_latency + config.input_delay + 2
        self.taking.elaborate_into(m)
        taking = self.read | ~self.taking.over
        arrives = delay_line(m, taking, late, name="arrives", reset_less=False)[late]
        _, last = self._place(m, arrives, "taken")
        arrived, taken = Signal(bits, reset_less=True), Signal(bits, reset_less=True)
        m.d.sync += [arrived.eq(self.dq_i), taken.eq(arrived)]
        word = taken
        if config.transfers > 1:
            before = Signal(bits * (config.transfers - 1), reset_less=True)
            word = Cat(before, taken)
            with m.If(arrives):
                m.d.sync += before.eq(word[bits:])
        m.d.comb += [queue.i.valid.eq(arrives & last), queue.i.payload.eq(word)]
