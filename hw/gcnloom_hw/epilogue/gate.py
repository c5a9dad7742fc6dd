# SPDX-License-Identifier: Apache-2.0
"""The gate that lets a sum through or makes it zero: ReLU, its recorded mask, dropout."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.epilogue.random_bytes import random_vector
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.grouped import GroupedMemory
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig

__all__ = ["CONTROLS", "Gate"]

CONTROLS = data.StructLayout(
    {
        "emit": 1,
        "relu": 1,
        "mask": 1,
        "mask_address": LOCAL_BITS,
        "dropout": 1,
        "threshold": 8,
    }
)
"""What closes the gate for one vector; all lanes are closed without `emit`."""


class Gate(wiring.Component):
    """Zero the sums that ReLU, mask or dropout stop.

    Accepts one vector a cycle; it leaves `latency` cycles later. A mask write is visible to
    vectors accepted two cycles later. In a compact accelerator only ReLU stops sums.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    sums : In(Shapes.sums)
    randoms : In(random_vector(config))
    controls : In(CONTROLS)
    mask_writes : In(stream.Signature(Shapes.mask_write))
        Always taken; only if there is a mask memory.
    gated : Out(Shapes.sums)
    noise : Out(data.ArrayLayout(8, lanes))
        Rounding bytes of the gated sums.
    """

    latency = 4
    short_latency = 1

    sums: data.View
    randoms: data.View
    controls: data.View
    gated: data.View
    noise: data.View

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        if config.compact:
            self.latency = self.short_latency
        shapes = Shapes(config)
        masks = (
            {"mask_writes": In(stream.Signature(shapes.mask_write))} if config.mask_depth else {}
        )
        super().__init__(
            {
                "sums": In(shapes.sums),
                "randoms": In(random_vector(config)),
                "controls": In(CONTROLS),
                **masks,
                "gated": Out(shapes.sums),
                "noise": Out(data.ArrayLayout(8, config.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = range(self.config.lanes)
        if self.config.compact:
            for lane in lanes:
                stopped = ~self.controls.emit | (self.controls.relu & self.sums[lane][-1])
                m.d.sync += self.gated[lane].eq(Mux(stopped, 0, self.sums[lane]))
            return m
        read_mask = self._masks(m) if self.config.mask_depth else 0

        # Capture, while the mask memory reads.
        sums = Signal.like(self.sums, name="captured_sums", reset_less=True)
        randoms = Signal.like(self.randoms, name="captured_randoms", reset_less=True)
        controls = Signal(CONTROLS, name="captured_controls", reset_less=True)
        m.d.sync += [sums.eq(self.sums), randoms.eq(self.randoms), controls.eq(self.controls)]

        # Compare, while the mask leaves its memory's slow output.
        mask = Signal(self.config.lanes, reset_less=True)
        stop = Signal(self.config.lanes, reset_less=True)
        m.d.sync += mask.eq(read_mask)
        for lane in lanes:
            m.d.sync += stop[lane].eq(
                ~controls.emit
                | (controls.relu & sums[lane][-1])
                | (controls.dropout & (randoms.dropout[lane] < controls.threshold))
            )
        masked = delay_line(m, controls.mask, 1, name="masked")[-1]
        decided = delay_line(m, sums.as_value(), 2, name="decided_sums")[-1]
        m.d.comb += self.noise.eq(delay_line(m, randoms.rounding.as_value(), 3, name="noise")[-1])

        # Decide in a register: the mask comes from afar, and a lane's gate has many bits.
        keep = Signal(self.config.lanes, reset_less=True)
        m.d.sync += keep.eq(~stop & (mask | ~masked.replicate(self.config.lanes)))
        width = self.config.sum_width
        for lane in lanes:
            total = decided.word_select(lane, width).as_signed()
            m.d.sync += self.gated[lane].eq(Mux(keep[lane], total, 0))
        return m

    def _masks(self, m):
        """Add the mask memory; returns what it reads."""
        group = self.config.vector_group
        m.submodules.masks = masks = GroupedMemory(
            width=self.config.lanes, depth=self.config.mask_depth, group=group
        )
        # A register on the way: the memory may be far from the load unit.
        writes = self.mask_writes
        m.d.sync += [
            masks.write_enable.eq(writes.p.enable & writes.valid.replicate(group)),
            masks.write_address.eq(writes.p.address),
            masks.write_data.eq(writes.p.data),
        ]
        m.d.comb += [
            writes.ready.eq(1),
            masks.read_address.eq(self.controls.mask_address),
        ]
        return masks.read_data
