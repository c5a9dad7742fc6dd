# SPDX-License-Identifier: Apache-2.0
"""The gate that lets a sum through or makes it zero: ReLU, its recorded mask, dropout."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.epilogue.random_bytes import random_vector
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.grouped import GroupedMemory
from gcnloom_hw.streams.slices import choose, cut
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig

__all__ = ["Gate", "gate_controls"]


def gate_controls(slices: int) -> data.StructLayout:
    """Shape of what closes the gate for one slice of a vector; without `emit` all lanes are."""
    return data.StructLayout(
        {
            "emit": 1,
            "relu": 1,
            "mask": 1,
            "mask_address": LOCAL_BITS,
            "slice": slices,
            "dropout": 1,
            "threshold": 8,
        }
    )


class Gate(wiring.Component):
    """Zero the sums that ReLU, mask or dropout stop.

    Accepts one slice of a vector a cycle; it leaves :attr:`latency` cycles later. A mask write is
    visible to slices accepted two cycles later.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    sums : In(data.ArrayLayout(signed(sum_width), epilogue_width))
    randoms : In(random_vector(config.epilogue_width))
    controls : In(gate_controls(epilogue_slices))
        `slice` is one-hot.
    mask_writes : In(stream.Signature(Shapes.mask_write))
        Always taken.
    gated : Out(data.ArrayLayout(signed(sum_width), epilogue_width))
    noise : Out(data.ArrayLayout(8, epilogue_width))
        Rounding bytes of the gated sums.
    """

    latency = 4

    sums: data.View
    randoms: data.View
    controls: data.View
    mask_writes: stream.Interface
    gated: data.View
    noise: data.View

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        sums = data.ArrayLayout(signed(config.sum_width), config.epilogue_width)
        super().__init__(
            {
                "sums": In(sums),
                "randoms": In(random_vector(config.epilogue_width)),
                "controls": In(gate_controls(config.epilogue_slices)),
                "mask_writes": In(stream.Signature(Shapes(config).mask_write)),
                "gated": Out(sums),
                "noise": Out(data.ArrayLayout(8, config.epilogue_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, slices = range(self.config.epilogue_width), self.config.epilogue_slices
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

        # Capture, while the mask memory reads.
        sums = Signal.like(self.sums, name="captured_sums", reset_less=True)
        randoms = Signal.like(self.randoms, name="captured_randoms", reset_less=True)
        controls = Signal.like(self.controls, name="captured_controls", reset_less=True)
        m.d.sync += [sums.eq(self.sums), randoms.eq(self.randoms), controls.eq(self.controls)]

        # Compare, while the mask leaves its memory's slow output; only then choose a slice of it.
        whole = Signal.like(masks.read_data, name="mask", reset_less=True)
        stop = Signal(len(lanes), reset_less=True)
        m.d.sync += whole.eq(masks.read_data)
        for lane in lanes:
            m.d.sync += stop[lane].eq(
                ~controls.emit
                | (controls.relu & sums[lane][-1])
                | (controls.dropout & (randoms.dropout[lane] < controls.threshold))
            )
        mask = choose(cut(whole, slices), delay_line(m, controls.slice, 1, name="slice")[-1])
        masked = delay_line(m, controls.mask, 1, name="masked")[-1]
        decided = delay_line(m, sums.as_value(), 2, name="decided_sums")[-1]
        m.d.comb += self.noise.eq(delay_line(m, randoms.rounding.as_value(), 3, name="noise")[-1])

        # Decide in a register: the mask comes from afar, and a lane's gate has many bits.
        keep = Signal(len(lanes), reset_less=True)
        m.d.sync += keep.eq(~stop & (mask | ~masked.replicate(len(lanes))))
        width = self.config.sum_width
        for lane in lanes:
            total = decided.word_select(lane, width).as_signed()
            m.d.sync += self.gated[lane].eq(Mux(keep[lane], total, 0))
        return m
