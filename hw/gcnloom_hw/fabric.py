# SPDX-License-Identifier: Apache-2.0
"""The FIFO fabric: results of either engine to the other's memories, to store or update unit."""

from amaranth import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.epilogue.epilogue import epilogue_output
from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.fork import Fork
from gcnloom_hw.streams.merge import Merge
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Unit

__all__ = ["Fabric", "Router"]

MEMORIES = (Destination.OPERAND, Destination.LEFT, Destination.RIGHT)


class Router(wiring.Component):
    """Hand one engine's results to where their command sends them, then fire its signals.

    A vector goes on when all of its receivers have taken it; one vector a cycle. The fork
    behind two receivers lets the faster go ahead by one vector.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    vectors : In(stream.Signature(epilogue_output(config)))
    stored, stepped : Out(stream.Signature(Shapes.sums))
    operand_writes, left_writes, right_writes : Out(stream.Signature(Shapes.vector_write))
    signals : Out(len(Unit))
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        write = Out(stream.Signature(shapes.vector_write))
        super().__init__(
            {
                "vectors": In(stream.Signature(epilogue_output(config))),
                "stored": Out(stream.Signature(shapes.sums)),
                "stepped": Out(stream.Signature(shapes.sums)),
                "operand_writes": write,
                "left_writes": write,
                "right_writes": write,
                "signals": Out(len(Unit)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        vector = self.vectors.p
        outputs = 2 + len(MEMORIES)
        m.submodules.fork = fork = Fork(epilogue_output(self.config), outputs=outputs)
        wiring.connect(m, outer=wiring.flipped(self.vectors), inner=fork.i)
        m.d.comb += [
            fork.choose.eq(
                vector.emit.replicate(outputs)
                & Cat(
                    vector.store,
                    (vector.destination == memory for memory in MEMORIES),
                    vector.step if self.config.master_width else 0,
                )
            ),
        ]
        for handed_out, output in ((self.stored, fork.o0), (self.stepped, fork.o4)):
            m.d.comb += [
                handed_out.valid.eq(output.valid),
                handed_out.payload.eq(output.p.data),
                output.ready.eq(handed_out.ready),
            ]
        # A write of one vector of a group.
        low = (self.config.vector_group - 1).bit_length()
        ports = (self.operand_writes, self.left_writes, self.right_writes)
        for port, output in zip(ports, (fork.o1, fork.o2, fork.o3), strict=True):
            m.d.comb += [
                port.valid.eq(output.valid),
                output.ready.eq(port.ready),
                port.p.address.eq(output.p.address >> low),
                port.p.bank.eq(output.p.bank),
                port.p.enable.eq(1 << output.p.address[:low]),
                *(
                    port.p.data[item][lane].eq(output.p.data[lane])
                    for item in range(self.config.vector_group)
                    for lane in range(self.config.lanes)
                ),
            ]
        with m.If(self.vectors.valid & self.vectors.ready & vector.last):
            m.d.comb += self.signals.eq(vector.signals)
        return m


class Fabric(wiring.Component):
    """Both engines' routers and, before each on-chip memory, the merge of its three writers.

    The FIFOs themselves are the epilogues' output queues, `fabric_depth` vectors each. A write
    reaches the memory :attr:`latency` cycles after it is taken.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    aggregate, transform : In(stream.Signature(epilogue_output(config)))
    aggregate_stored, transform_stored : Out(stream.Signature(Shapes.sums))
    aggregate_stepped, transform_stepped : Out(stream.Signature(Shapes.sums))
    load_operand, load_left, load_right : In(stream.Signature(Shapes.vector_write))
    operand, left, right : Out(stream.Signature(Shapes.vector_write))
    aggregate_signals, transform_signals : Out(len(Unit))
    """

    latency = Merge.latency

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        write = stream.Signature(shapes.vector_write)
        super().__init__(
            {
                "aggregate": In(stream.Signature(epilogue_output(config))),
                "transform": In(stream.Signature(epilogue_output(config))),
                "aggregate_stored": Out(stream.Signature(shapes.sums)),
                "transform_stored": Out(stream.Signature(shapes.sums)),
                "aggregate_stepped": Out(stream.Signature(shapes.sums)),
                "transform_stepped": Out(stream.Signature(shapes.sums)),
                "load_operand": In(write),
                "load_left": In(write),
                "load_right": In(write),
                "operand": Out(write),
                "left": Out(write),
                "right": Out(write),
                "aggregate_signals": Out(len(Unit)),
                "transform_signals": Out(len(Unit)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.aggregate_router = aggregate = Router(self.config)
        m.submodules.transform_router = transform = Router(self.config)
        for name, router in (("aggregate", aggregate), ("transform", transform)):
            outer = wiring.flipped(self)
            wiring.connect(m, outer=getattr(outer, name), inner=router.vectors)
            wiring.connect(m, outer=getattr(outer, f"{name}_stored"), inner=router.stored)
            wiring.connect(m, outer=getattr(outer, f"{name}_stepped"), inner=router.stepped)
            m.d.comb += getattr(self, f"{name}_signals").eq(router.signals)
        for name in ("operand", "left", "right"):
            merge = Merge(Shapes(self.config).vector_write, inputs=3)
            m.submodules[f"{name}_merge"] = merge
            outer = wiring.flipped(self)
            wiring.connect(m, outer=getattr(outer, f"load_{name}"), inner=merge.i0)
            wiring.connect(m, router=getattr(aggregate, f"{name}_writes"), inner=merge.i1)
            wiring.connect(m, router=getattr(transform, f"{name}_writes"), inner=merge.i2)
            wiring.connect(m, inner=merge.o, outer=getattr(outer, name))
        return m
