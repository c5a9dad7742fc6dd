# SPDX-License-Identifier: Apache-2.0
"""Units, fabric and sequencer: everything of the accelerator but its registers."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.control.gate import Gate
from gcnloom_hw.control.sequencer import Sequencer
from gcnloom_hw.control.status import Status
from gcnloom_hw.control.tokens import Tokens
from gcnloom_hw.epilogue.epilogue import Epilogue
from gcnloom_hw.fabric import Fabric
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.load import Load
from gcnloom_hw.memory.port import ADDRESS_BITS, ReadArbiter
from gcnloom_hw.memory.store import Store, write_request
from gcnloom_hw.streams.fork import Fork
from gcnloom_hw.transform.engine import TransformEngine
from gcnloom_spec.commands import COMMANDS
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import EMISSION, Target, Unit

__all__ = ["RESET_STAGES", "Core"]

QUIET_CYCLES = 8
"""A program has ended when nothing has moved for so long."""
RESET_STAGES = 18
"""A reset travels from unit to unit: a single register would be far from most of them."""


class Core(wiring.Component):
    """Everything but the registers, so that a reset of it leaves them alone.

    Its domain needs no reset.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    addresses, answers, writes
        The device-memory port, see :class:`~gcnloom_hw.accelerator.Accelerator`.
    reset : In(1)
        Starts every unit afresh if held for longer than :data:`RESET_STAGES` cycles, and lets
        go of the last so many cycles after it falls. No `start` before that.
    start : In(1)
    program_address, program_count, seed, step : In(32)
    statistic : In(6)
    envelope, saturations : Out
    running, fault, hazard : Out(1)
        The last two stay up until the next start.
    counts : Out
        Increment of each counter, by name.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.status = Status(config)
        counts = {
            name: Out(member.shape)
            for name, member in self.status.signature.members.items()
            if name.startswith("count_")
        }
        super().__init__(
            {
                "addresses": Out(stream.Signature(ADDRESS_BITS)),
                "answers": In(stream.Signature(8 * config.memory_bytes)),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "reset": In(1),
                "start": In(1),
                "program_address": In(32),
                "program_count": In(32),
                "seed": In(32),
                "step": In(32),
                "statistic": In(6),
                "envelope": Out(config.sum_width),
                "saturations": Out(32),
                "running": Out(1),
                "fault": Out(1),
                "hazard": Out(1),
                **counts,
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        resets = iter(delay_line(m, self.reset, RESET_STAGES, name="reset", reset_less=False)[1:])
        sequencer = self._unit(m, resets, "sequencer", Sequencer(config))
        tokens = self._unit(m, resets, "tokens", Tokens())
        reads = self._unit(m, resets, "reads", ReadArbiter(config.memory_bytes))
        load = self._unit(m, resets, "load", Load(config))
        store = self._unit(m, resets, "store", Store(config))
        fabric = self._unit(m, resets, "fabric", Fabric(config))
        aggregate = self._unit(m, resets, "aggregate", AggregateEngine(config))
        transform = self._unit(m, resets, "transform", TransformEngine(config))
        aggregate_epilogue = self._unit(m, resets, "aggregate_epilogue", Epilogue(config))
        transform_epilogue = self._unit(m, resets, "transform_epilogue", Epilogue(config))

        outer = wiring.flipped(self)
        wiring.connect(m, client=sequencer.requests, port=reads.requests0)
        wiring.connect(m, client=load.requests, port=reads.requests1)
        wiring.connect(m, port=reads.words0, client=sequencer.words)
        wiring.connect(m, port=reads.words1, client=load.words)
        wiring.connect(m, inner=reads.addresses, outer=outer.addresses)
        wiring.connect(m, outer=outer.answers, inner=reads.answers)
        wiring.connect(m, inner=store.writes, outer=outer.writes)

        wiring.connect(m, load=load.operand_writes, fabric=fabric.load_operand)
        wiring.connect(m, load=load.left_writes, fabric=fabric.load_left)
        wiring.connect(m, load=load.right_writes, fabric=fabric.load_right)
        wiring.connect(m, load=load.edge_writes, engine=aggregate.edge_writes)
        wiring.connect(m, load=load.order_writes, engine=aggregate.order_writes)
        wiring.connect(m, load=load.mask_aggregate_writes, epilogue=aggregate_epilogue.mask_writes)
        wiring.connect(m, load=load.mask_transform_writes, epilogue=transform_epilogue.mask_writes)
        wiring.connect(m, fabric=fabric.operand, engine=aggregate.operand_writes)
        wiring.connect(m, fabric=fabric.left, engine=transform.left_writes)
        wiring.connect(m, fabric=fabric.right, engine=transform.right_writes)

        wiring.connect(m, engine=aggregate.sums, epilogue=aggregate_epilogue.sums)
        wiring.connect(m, engine=transform.sums, epilogue=transform_epilogue.sums)
        wiring.connect(m, epilogue=aggregate_epilogue.vectors, fabric=fabric.aggregate)
        wiring.connect(m, epilogue=transform_epilogue.vectors, fabric=fabric.transform)
        wiring.connect(m, fabric=fabric.aggregate_stored, store=store.aggregate)
        wiring.connect(m, fabric=fabric.transform_stored, store=store.transform)

        gates = self._gates(m, resets, sequencer, tokens)
        wiring.connect(m, gate=gates[Unit.LOAD].o, unit=load.commands)
        wiring.connect(m, gate=gates[Unit.STORE].o, unit=store.commands)
        self._aggregate_commands(m, gates[Unit.AGGREGATE].o, aggregate)
        self._drain_commands(m, resets, gates[Unit.DRAIN].o, aggregate, aggregate_epilogue)
        self._transform_commands(m, resets, gates[Unit.TRANSFORM].o, transform, transform_epilogue)
        for unit, signals in (
            (Unit.LOAD, load.signals),
            (Unit.AGGREGATE, aggregate.signals),
            (Unit.DRAIN, fabric.aggregate_signals),
            (Unit.TRANSFORM, fabric.transform_signals),
            (Unit.STORE, store.signals),
        ):
            m.d.comb += getattr(tokens, f"signals{unit}").eq(signals)

        epilogues = (aggregate_epilogue, transform_epilogue)
        for epilogue in epilogues:
            m.d.comb += [
                epilogue.seed.eq(self.seed),
                epilogue.step.eq(self.step),
                epilogue.clear.eq(self.start),
                epilogue.statistic.eq(self.statistic),
            ]
        m.d.comb += [
            self.envelope.eq(aggregate_epilogue.envelope | transform_epilogue.envelope),
            self.saturations.eq(aggregate_epilogue.saturations + transform_epilogue.saturations),
        ]
        idle = Cat(
            *(part.idle for part in (sequencer, load, store, transform, *epilogues)),
            *(gate.idle for gate in gates.values()),
            aggregate.aggregate_idle,
            aggregate.drain_idle,
        ).all()
        self._run(m, sequencer, idle, aggregate.hazard)
        moves = {
            Unit.LOAD: (load.active, load.stalled),
            Unit.AGGREGATE: (aggregate.beats, 0),
            Unit.DRAIN: (aggregate.entries, aggregate.stalled),
            Unit.TRANSFORM: (transform.active, transform.stalled),
            Unit.STORE: (store.active, store.stalled),
        }
        for unit, (active, stalled) in moves.items():
            name = unit.name.lower()
            m.d.comb += [
                getattr(self, f"count_{name}_active").eq(active),
                getattr(self, f"count_{name}_stalled").eq(stalled),
                *(
                    getattr(self, f"count_{name}_wait_{other.name.lower()}").eq(
                        gates[unit].waiting[other]
                    )
                    for other in Unit
                ),
            ]
        self._count(m, sequencer, load, store, aggregate, transform)
        return m

    def _unit(self, m, resets, name, unit):
        """Add a unit and the next register of the reset's way to it."""
        m.submodules[name] = ResetInserter(next(resets))(unit)
        return unit

    def _gates(self, m, resets, sequencer, tokens):
        """One queue and gate a unit."""
        commands = Shapes(self.config).commands
        shapes = {command.unit: commands[opcode] for opcode, command in COMMANDS.items()}
        gates = {}
        for unit, shape in shapes.items():
            gate = Gate(shape, depth=self.config.command_depth)
            gates[unit] = self._unit(m, resets, f"{unit.name.lower()}_gate", gate)
            source = getattr(sequencer, f"commands{unit}")
            m.d.comb += [
                gate.i.valid.eq(source.valid),
                source.ready.eq(gate.i.ready),
                gate.i.payload.eq(source.payload),
                gate.available.eq(getattr(tokens, f"available{unit}")),
                getattr(tokens, f"take{unit}").eq(gate.take),
            ]
        m.d.comb += tokens.clear.eq(self.start)
        return gates

    def _aggregate_commands(self, m, commands, engine):
        m.d.comb += [
            engine.aggregates.valid.eq(commands.valid),
            commands.ready.eq(engine.aggregates.ready),
            *(
                engine.aggregates.p[name].eq(commands.p[name])
                for name in engine.aggregates.payload.shape().members
            ),
        ]

    def _drain_commands(self, m, resets, commands, engine, epilogue):
        fork = self._unit(m, resets, "drain_fork", Fork(commands.payload.shape(), outputs=2))
        wiring.connect(m, gate=commands, fork=fork.i)
        m.d.comb += [
            fork.choose.eq(0b11),
            engine.drains.valid.eq(fork.o0.valid),
            fork.o0.ready.eq(engine.drains.ready),
            *(
                engine.drains.p[name].eq(fork.o0.p[name])
                for name in engine.drains.payload.shape().members
            ),
        ]
        self._emission(m, fork.o1, epilogue, 1)

    def _transform_commands(self, m, resets, commands, engine, epilogue):
        fork = self._unit(m, resets, "transform_fork", Fork(commands.payload.shape(), outputs=2))
        wiring.connect(m, gate=commands, fork=fork.i)
        m.d.comb += [
            fork.choose.eq(0b11),
            engine.commands.valid.eq(fork.o0.valid),
            fork.o0.ready.eq(engine.commands.ready),
            *(
                engine.commands.p[name].eq(fork.o0.p[name])
                for name in engine.commands.payload.shape().members
            ),
        ]
        self._emission(m, fork.o1, epilogue, fork.o1.p.last)

    def _emission(self, m, source, epilogue, emits):
        """Describe the emission, empty or not: its signals pass the epilogue in any case."""
        m.d.comb += [
            epilogue.emissions.valid.eq(source.valid),
            source.ready.eq(epilogue.emissions.ready),
            epilogue.emissions.p.signals.eq(source.p.signals),
            *(epilogue.emissions.p[name].eq(Mux(emits, source.p[name], 0)) for name in EMISSION),
        ]

    def _run(self, m, sequencer, idle_now, hazard):
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.address.eq(self.program_address),
            sequencer.count.eq(self.program_count),
            self.fault.eq(sequencer.fault),
        ]
        idle = Signal()
        m.d.sync += idle.eq(idle_now)
        quiet = Signal(range(QUIET_CYCLES))
        with m.If(self.start):
            m.d.sync += [self.running.eq(1), quiet.eq(0), self.hazard.eq(0)]
        with m.Elif(idle):
            m.d.sync += quiet.eq(quiet + 1)
            with m.If(quiet == QUIET_CYCLES - 1):
                m.d.sync += self.running.eq(0)
        with m.Else():
            m.d.sync += quiet.eq(0)
        with m.If(hazard):
            m.d.sync += self.hazard.eq(1)
        with m.If(self.reset):
            m.d.sync += [self.running.eq(0), quiet.eq(0)]

    def _count(self, m, sequencer, load, store, aggregate, transform):
        counts = {
            "cycles": 1,
            "commands": sequencer.dispatched,
            "program_words": sequencer.fetched,
            "edges": aggregate.edges,
            "edge_slots": Mux(aggregate.beats, self.config.pes, 0),
            "drain_entries": aggregate.entries,
            "transform_rows": transform.rows,
            "store_words": store.wrote,
        }
        for target in Target:
            counts[f"{target.name.lower()}_words"] = load.asked[target]
        # Registers on the way, as the counters are far from all that they count.
        for name, amount in counts.items():
            m.d.sync += getattr(self, f"count_{name}").eq(amount)
