# SPDX-License-Identifier: Apache-2.0
"""Requests to SDRAM commands."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.bank import Bank
from gcnloom_hw.dram.config import ALL_BANKS, SdramConfig
from gcnloom_hw.dram.countdown import Countdown
from gcnloom_hw.dram.upkeep import Phase, Upkeep

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

    A request waits at the door, where it is known whether its row is open: it is compared with the
    open ones as it comes, not when it is taken. Rows stay open until another of their bank is asked
    for, or a refresh is due. Words are moved
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
    door, waiting, hit : Signal
        The next request, whether there is one, and whether its row is open.
    taken : Signal
        It is the one whose word is moved from the next clock on.
    held, holds, index : Signal
        The request whose word is being moved, whether there is one, and its next burst.
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
        self.door = Signal(sdram_request(config), reset_less=True)
        self.waiting, self.hit, self.taken = Signal(), Signal(), Signal()
        self.held = Signal(sdram_request(config), reset_less=True)
        self.holds = Signal()
        self.index = Signal((config.bursts - 1).bit_length())
        self.working, self.activate, self.close = Signal(), Signal(), Signal()
        self.move, self.done = Signal(), Signal()
        self.gap = Countdown("gap", clocks.bank_gap)
        self.gap.after(self.activate, clocks.bank_gap)
        self.reading = Countdown("reading", burst)
        self.reading.after(self.move, burst)
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
        m.d.comb += self.working.eq(upkeep.phase == Phase.WORK)
        self._admit(m)
        self._move(m)
        self._open(m)
        self._command(m)
        with m.If(self.done):
            m.d.sync += self.holds.eq(0)
        with m.If(self.taken):
            m.d.sync += [self.held.eq(self.door), self.holds.eq(1)]
        m.d.comb += [
            self.taken.eq(
                self.working
                & self.waiting
                & self.hit
                & (~self.holds | self.done)
                & (self.door.write | self.available)
            ),
            self.take.eq(self.taken & ~self.door.write),
            upkeep.closable.eq(~self.holds & Cat(bank.may_close for bank in self.banks).all()),
            self.started.eq(upkeep.started),
        ]
        return m

    def _admit(self, m):
        """Let a request come to the door, and one more behind it; compare its row."""
        behind, crowded = Signal.like(self.door), Signal()
        coming = Signal.like(self.door)
        m.d.comb += [
            self.requests.ready.eq(~crowded),
            coming.eq(Mux(crowded, behind, self.requests.payload)),
        ]
        with m.If(self.taken | ~self.waiting):
            m.d.sync += [
                self.door.eq(coming),
                self.waiting.eq(crowded | self.requests.valid),
                crowded.eq(0),
                # What opens and closes rows for a request at the door does so for none that leaves.
                self.hit.eq(
                    Cat(
                        (coming.bank == number) & bank.open & (bank.row == coming.row)
                        for number, bank in enumerate(self.banks)
                    ).any()
                ),
            ]
        with m.Else():
            with m.If(~crowded):
                m.d.sync += [behind.eq(self.requests.payload), crowded.eq(self.requests.valid)]
            with m.If(self.activate):
                m.d.sync += self.hit.eq(1)
        with m.If(self.upkeep.close_all):
            m.d.sync += self.hit.eq(0)

    def _wants(self, number):
        """Whether the next request is for a bank."""
        return self.door.bank == number

    def _of_wanted(self, name):
        """Ask the bank of the next request."""
        return Cat(
            self._wants(number) & getattr(bank, name) for number, bank in enumerate(self.banks)
        ).any()

    def _move(self, m):
        """Move the held word, burst by burst."""
        may_move = Signal()
        m.d.comb += [
            may_move.eq(
                Cat(
                    self.holds & (self.held.bank == number) & bank.may_move
                    for number, bank in enumerate(self.banks)
                ).any()
            ),
            self.read.eq(may_move & ~self.held.write & self.reading.over),
            self.write.eq(may_move & self.held.write & self.writing.over),
            self.move.eq(self.read | self.write),
            self.done.eq(self.move & (self.index == self._config.bursts - 1)),
        ]
        with m.If(self.move):
            m.d.sync += self.index.eq(self.index + 1)

    def _open(self, m):
        """Prepare the bank of the next request; what the held word needs stays."""
        needed = Signal()
        wanted = Signal()
        m.d.comb += [
            needed.eq(self.holds & (self.held.bank == self.door.bank)),
            wanted.eq(self.working & self.waiting & ~self.move),
            self.activate.eq(
                wanted & ~self._of_wanted("open") & self._of_wanted("may_activate") & self.gap.over
            ),
            self.close.eq(
                wanted
                & self._of_wanted("open")
                & ~self.hit
                & self._of_wanted("may_close")
                & ~needed
            ),
        ]
        for number, bank in enumerate(self.banks):
            moved = self.held.bank == number
            m.d.comb += [
                bank.activate.eq(self.activate & self._wants(number)),
                bank.close.eq((self.close & self._wants(number)) | self.upkeep.close_all),
                bank.read.eq(self.read & moved),
                bank.write.eq(self.write & moved),
                bank.next_row.eq(self.door.row),
            ]

    def _command(self, m):
        """Register the command for the pins."""
        upkeep, pins = self.upkeep, self.command
        closes = self.close | upkeep.close_all
        others = upkeep.refresh | upkeep.load_mode
        m.d.sync += [
            pins.cs.eq(self.move | self.activate | closes | others),
            pins.ras.eq(self.activate | closes | others),
            pins.cas.eq(self.move | others),
            pins.we.eq(self.write | closes | upkeep.load_mode),
            pins.ba.eq(self.door.bank),
            pins.a.eq(upkeep.close_all << ALL_BANKS),
        ]
        transfers = (self._config.burst - 1).bit_length()
        column = Cat(Const(0, transfers), self.index, self.held.word)
        below, above = column[:ALL_BANKS], column[ALL_BANKS:]
        gap = Const(0, ALL_BANKS + 1 - len(below))
        with m.If(self.move):
            m.d.sync += [pins.ba.eq(self.held.bank), pins.a.eq(Cat(below, gap, above))]
        with m.If(self.activate):
            m.d.sync += pins.a.eq(self.door.row)
        with m.If(upkeep.load_mode):
            m.d.sync += [pins.ba.eq(0), pins.a.eq(self._config.mode)]
