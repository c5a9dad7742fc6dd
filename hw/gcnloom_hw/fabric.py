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


def engines_of(config: AcceleratorConfig) -> tuple[str, ...]:
    """Engines whose results there are."""
    return ("aggregate", "transform") if config.sparse else ("transform",)


def memories_of(config: AcceleratorConfig) -> tuple[Destination, ...]:
    """Memories that results can go to."""
    dense = (Destination.LEFT, Destination.RIGHT)
    return (Destination.OPERAND, *dense) if config.sparse else dense


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
        The first only if there is a sparse engine; else what would go there is dropped.
    signals : Out(len(Unit))
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        write = Out(stream.Signature(shapes.vector_write))
        self._ports = {memory: f"{memory.name.lower()}_writes" for memory in memories_of(config)}
        super().__init__(
            {
                "vectors": In(stream.Signature(epilogue_output(config))),
                "stored": Out(stream.Signature(shapes.sums)),
                "stepped": Out(stream.Signature(shapes.sums)),
                **dict.fromkeys(self._ports.values(), write),
                "signals": Out(len(Unit)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        vector = self.vectors.p
        outputs = 2 + len(self._ports)
        m.submodules.fork = fork = Fork(epilogue_output(self.config), outputs=outputs)
        wiring.connect(m, outer=wiring.flipped(self.vectors), inner=fork.i)
        m.d.comb += [
            fork.choose.eq(
                vector.emit.replicate(outputs)
                & Cat(
                    vector.store,
                    vector.step if self.config.master_width else 0,
                    (vector.destination == memory for memory in self._ports),
                )
            ),
        ]
        for handed_out, output in ((self.stored, fork.o0), (self.stepped, fork.o1)):
            m.d.comb += [
                handed_out.valid.eq(output.valid),
                handed_out.payload.eq(output.p.data),
                output.ready.eq(handed_out.ready),
            ]
        # A write of one vector of a group.
        low = (self.config.vector_group - 1).bit_length()
        for index, name in enumerate(self._ports.values()):
            port, output = getattr(self, name), getattr(fork, f"o{2 + index}")
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
    """The engines' routers and, before each on-chip memory, the merge of its writers.

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
        Without a sparse engine there is nothing of what is called aggregate or operand.
    """

    latency = Merge.latency

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        write = stream.Signature(shapes.vector_write)
        self._engines = engines_of(config)
        self._memories = tuple(memory.name.lower() for memory in memories_of(config))
        members: dict[str, wiring.Member] = {}
        for engine in self._engines:
            members |= {
                engine: In(stream.Signature(epilogue_output(config))),
                f"{engine}_stored": Out(stream.Signature(shapes.sums)),
                f"{engine}_stepped": Out(stream.Signature(shapes.sums)),
                f"{engine}_signals": Out(len(Unit)),
            }
        for memory in self._memories:
            members |= {f"load_{memory}": In(write), memory: Out(write)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        outer = wiring.flipped(self)
        routers = [Router(self.config) for _ in self._engines]
        for name, router in zip(self._engines, routers, strict=True):
            m.submodules[f"{name}_router"] = router
            wiring.connect(m, outer=getattr(outer, name), inner=router.vectors)
            wiring.connect(m, outer=getattr(outer, f"{name}_stored"), inner=router.stored)
            wiring.connect(m, outer=getattr(outer, f"{name}_stepped"), inner=router.stepped)
            m.d.comb += getattr(self, f"{name}_signals").eq(router.signals)
        for name in self._memories:
            merge = Merge(Shapes(self.config).vector_write, inputs=1 + len(routers))
            m.submodules[f"{name}_merge"] = merge
            wiring.connect(m, outer=getattr(outer, f"load_{name}"), inner=merge.i0)
            for index, router in enumerate(routers):
                writes = getattr(router, f"{name}_writes")
                wiring.connect(m, router=writes, inner=getattr(merge, f"i{1 + index}"))
            wiring.connect(m, inner=merge.o, outer=getattr(outer, name))
        return m
