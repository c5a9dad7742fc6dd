# SPDX-License-Identifier: Apache-2.0
"""What is proved of the SDRAM controller at its pins: the part's rules, and who is served."""

from amaranth import Cat, ClockDomain, Elaboratable, Module, Mux, Signal
from amaranth.hdl import Assert

from gcnloom_hw.dram.controller import SdramController
from gcnloom_hw.dram.upkeep import Phase
from tests.hw.formal_sdram_refresh import assert_refreshes

__all__ = ["SdramProof"]


class Age:
    """Clocks since an event, up to `limit`.

    `before` leaves out the present clock and is 1 or more; `now` is 0 where the event is now.
    """

    def __init__(self, m, event, limit, name):
        self.before = Signal(range(limit + 1), init=limit, name=f"{name}_age")
        self.now = Signal(range(limit + 1), name=f"{name}_age_now")
        m.d.comb += self.now.eq(Mux(event, 0, self.before))
        m.d.sync += self.before.eq(Mux(self.now == limit, limit, self.now + 1))
        m.d.comb += Assert((self.before >= 1) & (self.before <= limit))


class SdramProof(Elaboratable):
    """The controller with all its inputs free, and assertions about its pins.

    Parameters
    ----------
    config : SdramConfig
        What the controller is built from.
    claimed : SdramConfig, optional
        What is claimed of it, if that is something else.
    """

    def __init__(self, config, *, claimed=None):
        self.config = claimed or config
        self.controller = SdramController(config)
        self.domain = ClockDomain("sync", reset_less=True)
        bits = config.part.data_bits
        self.inputs = {
            "read_valid": Signal(),
            "read_address": Signal(32),
            "write_valid": Signal(),
            "write_address": Signal(32),
            "write_mask": Signal(config.memory_bytes),
            "answer_ready": Signal(),
            "noise": Signal(bits),
        }

    def ports(self):
        return [self.domain.clk, *self.inputs.values()]

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = self.domain
        m.submodules.controller = controller = self.controller
        free = self.inputs
        m.d.comb += [
            controller.addresses.valid.eq(free["read_valid"]),
            controller.addresses.payload.eq(free["read_address"]),
            controller.writes.valid.eq(free["write_valid"]),
            controller.writes.p.address.eq(free["write_address"]),
            controller.writes.p.mask.eq(free["write_mask"]),
            controller.answers.ready.eq(free["answer_ready"]),
            controller.pins.dq_i.eq(free["noise"]),
        ]
        self.decode(m)
        self.rows(m)
        self.times(m)
        self.upkeep(m)
        self.bus(m)
        self.service(m)
        assert_refreshes(m, self.config, self.controller.scheduler)
        return m

    def decode(self, m):
        """Name the command on the pins."""
        pins = self.controller.pins
        code = Cat(pins.we, pins.cas, pins.ras)
        names = {
            "activate": 0b100,
            "read": 0b010,
            "write": 0b011,
            "precharge": 0b101,
            "refresh": 0b110,
            "load_mode": 0b111,
        }
        for name, value in names.items():
            command = Signal(name=name)
            m.d.comb += command.eq(pins.cs & (code == value))
            setattr(self, name, command)
        m.d.comb += Assert(~pins.cs | Cat(getattr(self, name) for name in names).any())
        # Auto-precharge is never asked for.
        m.d.comb += Assert(~((self.read | self.write) & pins.a[10]))

    def at(self, bank, command):
        return command & (self.controller.pins.ba == bank)

    def closes(self, bank):
        pins = self.controller.pins
        return self.precharge & (pins.a[10] | (pins.ba == bank))

    def rows(self, m):
        """Columns of open rows only; a row is opened where none is."""
        pins = self.controller.pins
        self.open, self.row = [], []
        for number, bank in enumerate(self.controller.scheduler.banks):
            opened = Signal(name=f"open{number}")
            row = Signal(self.config.part.row_bits, name=f"row{number}")
            opens, closes = self.at(number, self.activate), self.closes(number)
            with m.If(opens):
                m.d.sync += [opened.eq(1), row.eq(pins.a)]
            with m.If(closes):
                m.d.sync += opened.eq(0)
            m.d.comb += [
                Assert(~self.at(number, self.read | self.write) | opened),
                Assert(~opens | ~opened),
                Assert(~(self.refresh | self.load_mode) | ~opened),
                # The controller knows.
                Assert(bank.open == (opens | (opened & ~closes))),
                Assert(~bank.open | (bank.row == Mux(opens, pins.a, row))),
            ]
            self.open.append(opened)
            self.row.append(row)

    def rule(self, m, countdown, age, clocks, command):
        """Require `clocks` from an event to `command`; the controller's countdown covers them."""
        m.d.comb += [
            Assert(~command | (age.before >= clocks)),
            Assert(countdown.left + age.now >= clocks - 1),
        ]

    def times(self, m):
        """TRCD, tRP, tRAS, tRC, tWR, tRRD, and no burst cut short."""
        config, clocks = self.config, self.config.clocks
        scheduler = self.controller.scheduler
        cycle = clocks.active + clocks.precharge
        written = config.burst - 1 + clocks.write_recovery
        for number, bank in enumerate(scheduler.banks):
            opens, closes = self.at(number, self.activate), self.closes(number)
            reads, writes = self.at(number, self.read), self.at(number, self.write)
            shuts = closes & self.open[number]
            opened = Age(m, opens, max(cycle, clocks.activate), f"opened{number}")
            shut = Age(m, shuts, clocks.precharge, f"shut{number}")
            read = Age(m, reads, config.burst, f"read{number}")
            wrote = Age(m, writes, written, f"written{number}")
            self.rule(m, bank.moving, opened, clocks.activate, reads | writes)
            self.rule(m, bank.opening, shut, clocks.precharge, opens)
            self.rule(m, bank.closing, opened, clocks.active, shuts)
            self.rule(m, bank.closing, read, config.burst, shuts)
            self.rule(m, bank.closing, wrote, written, shuts)
            upkeep = self.refresh | self.load_mode
            m.d.comb += [
                Assert(~upkeep | (shut.before == clocks.precharge)),
                Assert(~opens | (opened.before >= cycle)),
                # What the controller knows of it, for the induction.
                Assert(bank.open | (opened.now + bank.opening.left + 1 >= cycle)),
            ]
        gap = Age(m, self.activate, clocks.bank_gap, "any_opened")
        self.rule(m, scheduler.gap, gap, clocks.bank_gap, self.activate)

    def upkeep(self, m):
        """TRFC, tMRD, after which alone there are commands."""
        clocks = self.config.clocks
        upkeep = self.controller.scheduler.upkeep
        working, closed = Signal(), Signal()
        m.d.comb += working.eq(upkeep.phase == Phase.WORK)
        m.d.comb += closed.eq((upkeep.phase == Phase.REFRESH) | (upkeep.phase == Phase.LOAD))
        rested = Age(m, self.refresh, clocks.refresh, "tRFC")
        loaded = Age(m, self.load_mode, clocks.mode, "tMRD")
        m.d.comb += [
            Assert(~self.controller.pins.cs | (rested.before == clocks.refresh)),
            Assert(~self.controller.pins.cs | (loaded.before == clocks.mode)),
            # What the controller knows of it, for the induction.
            Assert(upkeep.rest + rested.now >= clocks.refresh - 1),
            Assert(~(working | self.controller.scheduler.holds) | (upkeep.rest == 0)),
            Assert(~closed | ~self.controller.scheduler.holds),
            *(
                Assert(~closed | (~bank.open & (upkeep.rest >= bank.opening.left)))
                for bank in self.controller.scheduler.banks
            ),
            Assert(upkeep.rest + loaded.now >= clocks.mode - 1),
        ]

    def bus(self, m):
        """Nobody drives what another one drives, nor one clock after it."""
        config, clocks = self.config, self.config.clocks
        pins, scheduler = self.controller.pins, self.controller.scheduler
        reach = clocks.cas_latency + config.burst - 1
        # Bit i: the part drives dq in i clocks from now on.
        coming = Signal(reach)
        burst = ((1 << config.burst) - 1) << clocks.cas_latency - 1
        m.d.sync += coming.eq(coming >> 1 | Mux(self.read, burst, 0))
        earlier = Signal()
        m.d.sync += earlier.eq(coming[0])
        turn = clocks.cas_latency + config.burst + 1
        ages = turn + config.burst
        written = Age(m, self.write, ages, "written")
        read = Age(m, self.read, ages, "read")
        m.d.comb += [
            Assert(~(pins.dq_oe & (coming[0] | earlier))),
            Assert(~self.read | ((coming >> clocks.cas_latency) == 0)),
            Assert(pins.dq_oe == (written.now < config.burst)),
            # What the controller knows of it, for the induction.
            Assert(
                self.controller.transfers.giving.left
                == Mux(written.now < config.burst, config.burst - 1 - written.now, 0)
            ),
            Assert(~earlier | (read.before <= reach + 1)),
            *(Assert(~bit | (read.before <= reach - place)) for place, bit in enumerate(coming)),
            # The later of both began when the other one was over.
            Assert(
                (read.now > written.now)
                | (written.now >= read.now + config.burst)
                | (written.now == ages)
            ),
            Assert(
                (written.now > read.now) | (read.now >= written.now + turn) | (read.now == ages)
            ),
        ]
        self.rule(m, scheduler.reading, read, config.burst, self.read)
        self.rule(m, scheduler.reading, written, config.burst, self.read)
        self.rule(m, scheduler.writing, written, config.burst, self.write)
        self.rule(m, scheduler.writing, read, turn, self.write)

    def service(self, m):
        """Each request taken is moved once, in order, where it says."""
        config, pins, scheduler = self.config, self.controller.pins, self.controller.scheduler
        taken = scheduler.taken
        last = Signal.like(scheduler.held)
        before = Signal.like(scheduler.held)
        owed = Signal(2)
        burst = Signal(range(max(2, config.bursts)))
        moves, done = self.read | self.write, Signal()
        columns = pins.a if config.pins == 11 else Cat(pins.a[:10], pins.a[11:])
        with m.If(taken):
            m.d.sync += last.eq(scheduler.door)
        with m.If(moves):
            m.d.sync += burst.eq(Mux(done, 0, burst + 1))
        row = Signal(config.part.row_bits)
        for number, each in enumerate(self.row):
            with m.If(pins.ba == number):
                m.d.comb += row.eq(each)
        m.d.comb += [
            done.eq(moves & (burst == config.bursts - 1)),
            Assert(~moves | (before.write == self.write)),
            Assert(~moves | (before.bank == pins.ba)),
            Assert(~moves | (before.row == row)),
            Assert(
                ~moves
                | (
                    columns[: config.part.column_bits]
                    == before.word * config.transfers + burst * config.burst
                )
            ),
            Assert(~done | (owed != 0)),
            # What the controller knows of it, for the induction.
            Assert(owed == scheduler.holds + done),
            Assert(~scheduler.holds | (scheduler.held == last)),
            Assert(scheduler.index == Mux(done, 0, burst + moves)),
        ]
        m.d.sync += [before.eq(last), owed.eq(owed + taken - done)]
        for number, bank in enumerate(scheduler.banks):
            held = scheduler.held
            # Its row stays open while a request is held.
            mine = scheduler.holds & (held.bank == number)
            m.d.comb += Assert(~mine | (bank.open & (bank.row == held.row)))
            here = scheduler.waiting & (scheduler.door.bank == number)
            found = bank.open & (bank.row == scheduler.door.row)
            m.d.comb += Assert(~here | (scheduler.hit == found))
