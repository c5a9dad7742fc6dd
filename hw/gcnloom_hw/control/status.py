# SPDX-License-Identifier: Apache-2.0
"""The register bank: controls, identity, performance counters."""

from amaranth import C, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.control.counters import Counters
from gcnloom_hw.update.scales import scale_entry
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION, TENSOR_BITS, WORDS, Opcode
from gcnloom_spec.items import RECORD
from gcnloom_spec.registers import (
    COMPACT_COUNTERS,
    COUNTER_BASE,
    COUNTERS,
    IDENTITY,
    REGISTERS,
    Access,
)

__all__ = ["Status"]

GROUP_BITS = 3
"""Low address bits, by which a register is chosen in its group."""


class Status(wiring.Component):
    """Registers of :data:`gcnloom_spec.registers.REGISTERS` behind a simple bus.

    `read_data` shows the register at `address` once that has been set for
    :data:`gcnloom_spec.registers.READ_CYCLES`. Counters add `count_<name>` every cycle while
    `running`, and are cleared by a start; what is read of one, also in a run, is exact.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    address : In(8)
    write : In(1)
    write_data : In(32)
    read_data : Out(32)
    start, reset : Out(1)
    keep : Out(1)
        The run goes on with the statistics that there are.
    finish : Out(1)
        The run is to end when its step advances.
    running, fault, hazard, expired : In(1)
    program_address, program_count, seed, step, watchdog : Out(32)
    statistic : Out(7)
    envelope : In(sum_width)
    saturations : In(32)
    scale : In(scale_entry())
    progress : In(32)
    train_loss : In(40)
    judge : In(1)
        A loss has been judged: `val_loss`.
    val_loss : In(40)
    worse : Out(16)
        Judged losses since the smallest.
    count_<name> : In
        What to add to that counter in this cycle, 1 bit (`edges`, `edge_slots`: up to the PEs).
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        wide = {"edges", "edge_slots"}
        super().__init__(
            {
                "address": In(8),
                "write": In(1),
                "write_data": In(32),
                "read_data": Out(32),
                "start": Out(1),
                "keep": Out(1),
                "reset": Out(1),
                "finish": Out(1),
                "running": In(1),
                "fault": In(1),
                "hazard": In(1),
                "expired": In(1),
                "program_address": Out(32),
                "program_count": Out(32),
                "seed": Out(32),
                "step": Out(32),
                "watchdog": Out(32),
                "statistic": Out(TENSOR_BITS),
                "envelope": In(config.sum_width),
                "saturations": In(32),
                "scale": In(scale_entry()),
                "progress": In(32),
                "train_loss": In(RECORD.fields["train_loss"]),
                "judge": In(1),
                "val_loss": In(RECORD.fields["val_loss"]),
                "worse": Out(WORDS[Opcode.REPEAT].fields["patience"]),
                **{
                    f"count_{name}": In(range(config.pes + 1) if name in wide else 1)
                    for name in COUNTERS
                },
            }
        )

    def elaborate(self, platform):
        m = Module()
        digest = int(self.config.digest, 16)
        values = {
            "identity": C(IDENTITY, 32),
            "isa_version": C(ISA_VERSION, 32),
            "digest_low": C(digest & 0xFFFFFFFF, 32),
            "digest_high": C(digest >> 32, 32),
            "status": Cat(self.running, self.fault, self.hazard, self.expired),
            "envelope_low": self.envelope[:32],
            "envelope_high": self.envelope[32:],
            "saturations": self.saturations,
            "exponent": self._extended(self.scale.exponent),
            "wanted": self._extended(self.scale.wanted),
            "shift": self.scale.shift,
            "progress": self.progress,
            "loss_low": self.train_loss[:32],
            "loss_high": self.train_loss[32:],
            "worse": self.worse,
        } | self._judge(m)
        readable = {
            register.address: values[name]
            for name, register in REGISTERS.items()
            if register.access is not Access.WRITE
        }
        self._read(m, readable)
        self._count(m)
        self._writes(m)
        return m

    def _read(self, m, readable):
        """Choose in each group of registers first, then among groups: they are far apart."""
        group = Signal(8 - GROUP_BITS)
        m.d.sync += [group.eq(self.address[GROUP_BITS:]), self.read_data.eq(0)]
        for high in sorted({register >> GROUP_BITS for register in readable}):
            chosen = Signal(32, name=f"group{high}")
            m.d.sync += chosen.eq(0)
            with m.Switch(self.address[:GROUP_BITS]):
                for register, value in readable.items():
                    if register >> GROUP_BITS == high:
                        with m.Case(register % (1 << GROUP_BITS)):
                            m.d.sync += chosen.eq(value)
            with m.If(group == high):
                m.d.sync += self.read_data.eq(chosen)

    def _judge(self, m):
        """Keep the smallest judged loss and how many came after it; returns its registers."""
        self._best = {name: Signal(32, name=name) for name in ("best_low", "best_high")}
        if self.config.compact:
            return self._best
        best = Cat(self._best.values())
        judged, better = Signal(), Signal()
        loss = Signal.like(self.val_loss, reset_less=True)
        m.d.sync += [judged.eq(self.judge), loss.eq(self.val_loss), better.eq(0)]
        with m.If(judged):
            m.d.sync += better.eq(loss < best)
            with m.If(~self.worse.all()):
                m.d.sync += self.worse.eq(self.worse + 1)
        with m.If(better):
            m.d.sync += [best.eq(loss), self.worse.eq(0)]
        return self._best

    def _absent(self):
        """Name the registers that read as zero."""
        return ("worse", *self._best) if self.config.compact else ()

    @staticmethod
    def _extended(value):
        return Cat(value, value[-1].replicate(32 - len(value)))

    def _count(self, m):
        """Count; what comes one by one in little logic."""
        if self.config.compact:
            self._count_little(m)
            return
        m.submodules.counters = counters = Counters(len(COUNTERS))
        place, counts = Signal(8), Signal()
        m.d.comb += [
            counters.running.eq(self.running),
            counters.clear.eq(self.start),
            counters.address.eq(self.address - COUNTER_BASE),
        ]
        m.d.sync += [place.eq(self.address), counts.eq(self.address >= COUNTER_BASE)]
        with m.If(counts):
            m.d.sync += self.read_data.eq(counters.count)
        for index, name in enumerate(COUNTERS):
            amount = getattr(self, f"count_{name}")
            if len(amount) == 1:
                m.d.comb += counters.events[index].eq(amount)
                continue
            total = self._sum(m, name, amount)
            with m.If(place == COUNTER_BASE + index):
                m.d.sync += self.read_data.eq(total)

    def _count_little(self, m):
        """Count what compact accelerators count."""
        place = Signal(8)
        m.d.sync += place.eq(self.address)
        for name in COMPACT_COUNTERS:
            total = self._sum(m, name, getattr(self, f"count_{name}"))
            with m.If(place == COUNTER_BASE + list(COUNTERS).index(name)):
                m.d.sync += self.read_data.eq(total)

    def _sum(self, m, name, value):
        """Count what may come several at a time."""
        # A start clears them, and what need not be reset is nearer to everything.
        total = Signal(32, name=name, reset_less=True)
        amount = Signal(len(value), name=f"{name}_amount", reset_less=True)
        m.d.sync += amount.eq(value)
        with m.If(self.start):
            m.d.sync += [total.eq(0), amount.eq(0)]
        with m.Elif(self.running):
            m.d.sync += total.eq(total + amount)
        return total

    def _writes(self, m):
        m.d.sync += [self.start.eq(0), self.reset.eq(0)]
        with m.If(self.write):
            with m.Switch(self.address):
                for name, register in REGISTERS.items():
                    if register.access is not Access.READ and name not in self._absent():
                        with m.Case(register.address):
                            if name == "control":
                                m.d.sync += [
                                    self.start.eq(self.write_data[0]),
                                    self.reset.eq(self.write_data[1]),
                                    self.finish.eq(self.write_data[2]),
                                ]
                                # A start may wait, and be asked to finish while it does.
                                with m.If(self.write_data[0]):
                                    m.d.sync += self.keep.eq(self.write_data[3])
                            elif name in self._best:
                                m.d.sync += self._best[name].eq(self.write_data)
                            else:
                                m.d.sync += getattr(self, name).eq(self.write_data)
