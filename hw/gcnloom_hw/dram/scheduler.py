# SPDX-License-Identifier: Apache-2.0
"""Requests to SDRAM commands."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.bank import Bank
from gcnloom_hw.dram.config import ALL_BANKS, SdramConfig
from gcnloom_hw.dram.countdown import Countdown
from gcnloom_hw.dram.upkeep import Upkeep

__all__ = ["Scheduler", "sdram_command", "sdram_request"]


def sdram_request(config: SdramConfig):
    """Layout of a request: where a word lies, and what to do with it."""
    return data.StructLayout(
        {
            "word": config.word_bits,
            "bank": config.bank_bits,
            "row": config.part.row_bits,
            "write": 1,
        }
    )


def sdram_command(config: SdramConfig):
    """Layout of a command's pins."""
    return data.StructLayout(
        {"cs": 1, "ras": 1, "cas": 1, "we": 1, "ba": config.bank_bits, "a": config.pins}
    )


class Scheduler(wiring.Component):
    """Open rows, move words, keep the part alive: one command a clock.

    Rows stay open until another of their bank is asked for, or a refresh is due. Words are moved
    in the order of the requests. While one is, the next one's row is opened, after closing the
    bank's open one if that is not the row that is being used. Moving goes before opening.

    Parameters
    ----------
    config : SdramConfig

    Attributes
    ----------
    requests : In(stream.Signature(sdram_request(config)))
    available : In(1)
        There is room for the answer to a read.
    take : Out(1)
        A read takes that room.
    read, write : Out(1)
        A burst begins with the command of this clock.
    command : Out(sdram_command(config))
        Registered: the command of the clock before.
    started : Out(1)
    """

    requests: stream.Interface

    def __init__(self, config: SdramConfig) -> None:
        self._config = config
        clocks, burst = config.clocks, config.burst
        super().__init__(
            {
                "requests": In(stream.Signature(sdram_request(config))),
                "available": In(1),
                "take": Out(1),
                "read": Out(1),
                "write": Out(1),
                "command": Out(sdram_command(config)),
                "started": Out(1),
            }
        )
        self.upkeep = Upkeep(config)
        self.banks = [Bank(config) for _ in range(config.part.banks)]
        self.activate = Signal()
        self.gap = Countdown("gap", clocks.bank_gap)
        self.gap.after(self.activate, clocks.bank_gap)
        self.reading = Countdown("reading", burst)
        self.reading.after(self.read | self.write, burst)
        self.writing = Countdown("writing", clocks.write_after_read(burst))
        self.writing.after(self.write, burst)
        self.writing.after(self.read, clocks.write_after_read(burst))

    def elaborate(self, platform):
        m = Module()
        m.submodules.upkeep = upkeep = self.upkeep
        for number, bank in enumerate(self.banks):
            m.submodules[f"bank{number}"] = bank
        for countdown in (self.gap, self.reading, self.writing):
            countdown.elaborate_into(m)

        held = Signal(sdram_request(self._config), reset_less=True)
        holds = Signal()
        done = Signal()
        close = Signal()
        column = self._move(m, held, holds, done)
        moves = self.read | self.write
        self._open(m, held, holds, moves, close)
        with m.If(done):
            m.d.sync += holds.eq(0)
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [held.eq(self.requests.payload), holds.eq(1)]
            m.d.comb += self.take.eq(~self.requests.p.write)
        hit = self._hit()
        m.d.comb += [
            self.requests.ready.eq(
                upkeep.working & hit & (~holds | done) & (self.requests.p.write | self.available)
            ),
            upkeep.closable.eq(~holds & Cat(bank.may_close for bank in self.banks).all()),
            self.started.eq(upkeep.started),
        ]
        self._command(m, held, column, moves, close)
        return m

    def _hit(self):
        """Whether the row of the next request is open."""
        request = self.requests.p
        return Cat(
            (request.bank == number) & bank.open & (bank.row == request.row)
            for number, bank in enumerate(self.banks)
        ).any()

    def _of(self, bank, name):
        """One bank's allowance, by number."""
        return Cat(
            (bank == number) & getattr(each, name) for number, each in enumerate(self.banks)
        ).any()

    def _move(self, m, held, holds, done):
        """Move the held word, burst by burst; return the column of the next one."""
        bursts = (self._config.bursts - 1).bit_length()
        transfers = (self._config.burst - 1).bit_length()
        may_move = Signal()
        m.d.comb += [
            may_move.eq(holds & self._of(held.bank, "may_move")),
            self.read.eq(may_move & ~held.write & self.reading.over),
            self.write.eq(may_move & held.write & self.writing.over),
        ]
        moves = self.read | self.write
        if bursts:
            index = Signal(bursts)
            m.d.comb += done.eq(moves & index.all())
            with m.If(moves):
                m.d.sync += index.eq(index + 1)
        else:
            index = Const(0, 0)
            m.d.comb += done.eq(moves)
        return Cat(Const(0, transfers), index, held.word)

    def _open(self, m, held, holds, moves, close):
        """Prepare the bank of the next request; what the held word needs stays."""
        request = self.requests.p
        wanted = Signal()
        m.d.comb += [
            wanted.eq(self.upkeep.working & self.requests.valid & ~moves),
            self.activate.eq(
                wanted
                & ~self._of(request.bank, "open")
                & self._of(request.bank, "may_activate")
                & self.gap.over
            ),
            close.eq(
                wanted
                & self._of(request.bank, "open")
                & ~self._hit()
                & self._of(request.bank, "may_close")
                & ~(holds & (held.bank == request.bank))
            ),
        ]
        for number, bank in enumerate(self.banks):
            mine, moving = request.bank == number, held.bank == number
            m.d.comb += [
                bank.activate.eq(self.activate & mine),
                bank.close.eq((close & mine) | self.upkeep.close_all),
                bank.read.eq(self.read & moving),
                bank.write.eq(self.write & moving),
                bank.next_row.eq(request.row),
            ]

    def _command(self, m, held, column, moves, close):
        """Register the command for the pins."""
        upkeep, request, pins = self.upkeep, self.requests.p, self.command
        closes = close | upkeep.close_all
        others = upkeep.refresh | upkeep.load_mode
        m.d.sync += [
            pins.cs.eq(moves | self.activate | closes | others),
            pins.ras.eq(self.activate | closes | others),
            pins.cas.eq(moves | others),
            pins.we.eq(self.write | closes | upkeep.load_mode),
            pins.ba.eq(request.bank),
            pins.a.eq(upkeep.close_all << ALL_BANKS),
        ]
        with m.If(moves):
            below, above = column[:ALL_BANKS], column[ALL_BANKS:]
            gap = Const(0, ALL_BANKS + 1 - len(below))
            m.d.sync += [pins.ba.eq(held.bank), pins.a.eq(Cat(below, gap, above))]
        with m.If(self.activate):
            m.d.sync += pins.a.eq(request.row)
        with m.If(upkeep.load_mode):
            m.d.sync += [pins.ba.eq(0), pins.a.eq(self._config.mode)]
