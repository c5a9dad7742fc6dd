# SPDX-License-Identifier: Apache-2.0
"""The accelerator: its core and its registers behind one memory port and one bus."""

from amaranth import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.core import RESET_STAGES, Core
from gcnloom_hw.memory.port import ADDRESS_BITS, OUTSTANDING, write_request
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Unit

__all__ = ["Accelerator"]


class Accelerator(wiring.Component):
    """A GCN training accelerator.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    addresses : Out(stream.Signature(32))
        Reads of the device memory, one word each.
    answers : In(stream.Signature(8 * memory_bytes))
        The words, in order of asking.
    writes : Out(stream.Signature(write_request(memory_bytes)))
        A read asked after a write was accepted must see it.
    register_address : In(8)
    register_write : In(1)
    register_write_data : In(32)
    register_read_data : Out(32)
        The register bus, see :class:`gcnloom_hw.control.status.Status`.
    running : Out(1)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "addresses": Out(stream.Signature(ADDRESS_BITS)),
                "answers": In(stream.Signature(8 * config.memory_bytes)),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "register_address": In(8),
                "register_write": In(1),
                "register_write_data": In(32),
                "register_read_data": Out(32),
                "running": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core = Core(self.config)
        status = core.status
        m.submodules.status = status
        # The core hands its reset on through registers, so its domain has none.
        m.domains.core = ClockDomain(reset_less=True, local=True)
        m.submodules.core = DomainRenamer("core")(core)
        m.d.comb += ClockSignal("core").eq(ClockSignal())
        resetting = self._reset(m, core)
        outer = wiring.flipped(self)
        wiring.connect(m, inner=core.addresses, outer=outer.addresses)
        wiring.connect(m, outer=outer.answers, inner=core.answers)
        wiring.connect(m, inner=core.writes, outer=outer.writes)
        m.d.comb += [
            status.address.eq(self.register_address),
            status.write.eq(self.register_write),
            status.write_data.eq(self.register_write_data),
            self.register_read_data.eq(status.read_data),
            self.running.eq(core.running | resetting),
            status.running.eq(self.running),
            status.fault.eq(core.fault),
            status.hazard.eq(core.hazard),
            status.envelope.eq(core.envelope),
            status.saturations.eq(core.saturations),
        ]
        for name in (
            "keep", "program_address", "program_count", "seed", "step", "statistic", "finish",
            "worse",
        ):  # fmt: skip
            m.d.comb += getattr(core, name).eq(getattr(status, name))
        for name in ("scale", "progress", "train_loss", "judge", "val_loss"):
            m.d.comb += getattr(status, name).eq(getattr(core, name))
        for name in core.signature.members:
            if name.startswith("count_"):
                m.d.comb += getattr(status, name).eq(getattr(core, name))
        return m

    def _reset(self, m, core):
        """Reset the core until all of it is, and until its last read is answered.

        A core in reset takes every answer and forgets it; out of reset it would take a late one
        for an answer to the next run's reads. A start waits. Returns whether this is under way.
        """
        expired = self._watch(m, core)
        abandon = core.status.reset | expired
        stretch = RESET_STAGES + 2
        left = Signal(range(2 * stretch), init=2 * stretch - 1)
        reads = Signal(range(2 * OUTSTANDING))
        asked, answered, pending = Signal(), Signal(), Signal()
        # A flip-flop, for a start goes far.
        start = Signal()
        starts = pending & (left == 0) & ~abandon
        m.d.comb += [
            asked.eq(self.addresses.valid & self.addresses.ready),
            answered.eq(self.answers.valid & self.answers.ready),
            core.reset.eq(left >= stretch),
            core.start.eq(start),
        ]
        m.d.sync += [reads.eq(reads + asked - answered), start.eq(starts)]
        with m.If(abandon):
            m.d.sync += left.eq(left.init)
        with m.Elif((left != 0) & ((left != stretch) | (reads == 0))):
            m.d.sync += left.eq(left - 1)
        with m.If(starts | abandon):
            m.d.sync += pending.eq(0)
        with m.Elif(core.status.start):
            m.d.sync += pending.eq(1)
        return pending | start | (left != 0)

    def _watch(self, m, core):
        """Say when nothing has moved for as long as the watchdog allows."""
        status = core.status
        waited, expired = Signal(32, reset_less=True), Signal()
        moves = [getattr(core, f"count_{unit.name.lower()}_active") for unit in Unit]
        moved, due = Signal(), Signal()
        m.d.sync += [
            moved.eq(Cat(*moves, core.count_commands).any() | ~core.running),
            due.eq((waited == status.watchdog) & (status.watchdog != 0)),
            expired.eq(due & core.running & ~moved),
        ]
        with m.If(moved):
            m.d.sync += waited.eq(0)
        with m.Else():
            m.d.sync += waited.eq(waited + 1)
        with m.If(core.start):
            m.d.sync += status.expired.eq(0)
        with m.Elif(expired):
            m.d.sync += status.expired.eq(1)
        return expired
