# SPDX-License-Identifier: Apache-2.0
"""Units, fabric and sequencer: everything of the accelerator but its registers."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.control.gate import Gate
from gcnloom_hw.control.handover import describe_emission, hand_fields
from gcnloom_hw.control.sequencer import Sequencer
from gcnloom_hw.control.status import Status
from gcnloom_hw.control.tokens import Tokens
from gcnloom_hw.epilogue.epilogue import Epilogue
from gcnloom_hw.fabric import Fabric
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.load import Load
from gcnloom_hw.memory.port import ADDRESS_BITS, ReadArbiter, WriteArbiter
from gcnloom_hw.memory.store import Store, write_request
from gcnloom_hw.streams.fork import Fork
from gcnloom_hw.transform.engine import TransformEngine
from gcnloom_hw.update.scales import scale_entry
from gcnloom_hw.update.unit import UpdateUnit, update_command
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import RECORD, TENSOR_BITS, WORDS, Opcode, Target, Unit

__all__ = ["RESET_STAGES", "Core"]

QUIET_CYCLES = 8
"""A program has ended when nothing has moved for so long."""
RESET_STAGES = 22
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
    finish : In(1)
        End the run when its step advances.
    worse : In(16)
        Judged losses since the smallest.
    statistic : In(7)
    envelope, saturations, scale : Out
    progress : Out(32)
        Step that the run has come to.
    train_loss, val_loss : Out(40)
        Of the last record, and with `judge` one to be judged.
    judge : Out(1)
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
                "finish": In(1),
                "worse": In(WORDS[Opcode.REPEAT].fields["patience"]),
                "statistic": In(TENSOR_BITS),
                "envelope": Out(config.sum_width),
                "saturations": Out(32),
                "scale": Out(scale_entry()),
                "progress": Out(32),
                "train_loss": Out(RECORD.fields["train_loss"]),
                "val_loss": Out(RECORD.fields["val_loss"]),
                "judge": Out(1),
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
        clients = 4 if config.master_width else 2
        reads = self._unit(m, resets, "reads", ReadArbiter(config.memory_bytes, clients=clients))
        load = self._unit(m, resets, "load", Load(config))
        store = self._unit(m, resets, "store", Store(config))
        fabric = self._unit(m, resets, "fabric", Fabric(config))
        aggregate = self._unit(m, resets, "aggregate", AggregateEngine(config))
        transform = self._unit(m, resets, "transform", TransformEngine(config))
        aggregate_epilogue = self._unit(m, resets, "aggregate_epilogue", Epilogue(config))
        transform_epilogue = self._unit(m, resets, "transform_epilogue", Epilogue(config))

        outer = wiring.flipped(self)
        wiring.connect(m, client=sequencer.requests, port=reads.requests0)
        # What the update unit reads is little, and the engine before it would wait for it.
        last = clients - 1
        wiring.connect(m, client=load.requests, port=getattr(reads, f"requests{last}"))
        wiring.connect(m, port=reads.words0, client=sequencer.words)
        wiring.connect(m, port=getattr(reads, f"words{last}"), client=load.words)
        wiring.connect(m, inner=reads.addresses, outer=outer.addresses)
        wiring.connect(m, outer=outer.answers, inner=reads.answers)

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
        hand_fields(m, gates[Unit.AGGREGATE].o, aggregate.aggregates)
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
        update = self._update(m, resets, reads, store, fabric, gates, tokens, epilogues)
        for epilogue in epilogues:
            m.d.comb += [
                epilogue.seed.eq(self.seed),
                epilogue.step.eq(self.progress),
                epilogue.clear.eq(self.start),
            ]
        idle = Cat(
            *(part.idle for part in (load, store, transform, *epilogues)),
            update.idle if update is not None else 1,
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
            Unit.UPDATE: (update.active, update.stalled) if update is not None else (0, 0),
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
        self._count(m, sequencer, load, aggregate, transform)
        return m

    def _unit(self, m, resets, name, unit):
        """Add a unit and the next register of the reset's way to it."""
        m.submodules[name] = ResetInserter(next(resets))(unit)
        return unit

    def _gates(self, m, resets, sequencer, tokens):
        """One queue and gate a unit."""
        commands = Shapes(self.config).commands
        shapes = {unit: commands[Opcode[unit.name]] for unit in Unit if unit != Unit.UPDATE}
        shapes[Unit.UPDATE] = update_command()
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

    def _update(self, m, resets, reads, store, fabric, gates, tokens, epilogues):
        """Add the update unit, if there is one; it shares memory and statistics with others."""
        outer = wiring.flipped(self)
        if not self.config.master_width:
            wiring.connect(m, inner=store.writes, outer=outer.writes)
            m.d.comb += [
                self.envelope.eq(epilogues[0].envelope | epilogues[1].envelope),
                self.saturations.eq(epilogues[0].saturations + epilogues[1].saturations),
                *(epilogue.statistic.eq(self.statistic) for epilogue in epilogues),
            ]
            return None
        update = self._unit(m, resets, "update", UpdateUnit(self.config))
        shape = store.writes.payload.shape()
        writes = self._unit(m, resets, "writes", WriteArbiter(shape, clients=3))
        for index, name in enumerate(("loss", "step")):
            wiring.connect(
                m,
                client=getattr(update, f"{name}_requests"),
                port=getattr(reads, f"requests{index + 1}"),
            )
            wiring.connect(
                m, port=getattr(reads, f"words{index + 1}"), client=getattr(update, f"{name}_words")
            )
            wiring.connect(
                m, client=getattr(update, f"{name}_writes"), port=getattr(writes, f"i{index + 1}")
            )
        wiring.connect(m, client=store.writes, port=writes.i0)
        wiring.connect(m, inner=writes.o, outer=outer.writes)
        wiring.connect(m, fabric=fabric.aggregate_stepped, update=update.aggregate)
        wiring.connect(m, fabric=fabric.transform_stepped, update=update.transform)
        wiring.connect(m, gate=gates[Unit.UPDATE].o, unit=update.commands)
        m.d.comb += [
            getattr(tokens, f"signals{Unit.UPDATE}").eq(update.signals),
            update.seed.eq(self.seed),
            update.step.eq(self.progress),
            update.clear.eq(self.start),
            update.statistic.eq(self.statistic),
            update.envelopes.eq(self.envelope),
            self.scale.eq(update.scale),
            self.train_loss.eq(update.train_loss),
            self.val_loss.eq(update.val_loss),
            self.judge.eq(update.judge),
        ]
        for epilogue in epilogues:
            m.d.comb += [
                epilogue.statistic.eq(update.chosen),
                epilogue.forget.eq(update.forget),
                epilogue.shift.eq(update.written),
            ]
        parts = (*epilogues, update)
        m.d.comb += [
            self.envelope.eq(parts[0].envelope | parts[1].envelope | parts[2].envelope),
            self.saturations.eq(sum(part.saturations for part in parts)),
        ]
        return update

    def _drain_commands(self, m, resets, commands, engine, epilogue):
        fork = self._unit(m, resets, "drain_fork", Fork(commands.payload.shape(), outputs=2))
        wiring.connect(m, gate=commands, fork=fork.i)
        m.d.comb += fork.choose.eq(0b11)
        hand_fields(m, fork.o0, engine.drains)
        describe_emission(m, fork.o1, epilogue, 1)

    def _transform_commands(self, m, resets, commands, engine, epilogue):
        fork = self._unit(m, resets, "transform_fork", Fork(commands.payload.shape(), outputs=2))
        wiring.connect(m, gate=commands, fork=fork.i)
        m.d.comb += fork.choose.eq(0b11)
        hand_fields(m, fork.o0, engine.commands)
        describe_emission(m, fork.o1, epilogue, fork.o1.p.last)

    def _run(self, m, sequencer, idle_now, hazard):
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.address.eq(self.program_address),
            sequencer.count.eq(self.program_count),
            sequencer.finish.eq(self.finish),
            sequencer.worse.eq(self.worse),
            self.fault.eq(sequencer.fault),
        ]
        with m.If(self.start):
            m.d.sync += self.progress.eq(self.step)
        with m.Elif(sequencer.advance):
            m.d.sync += self.progress.eq(self.progress + 1)
        idle = Signal()
        m.d.sync += idle.eq(idle_now & (sequencer.idle | sequencer.ends))
        quiet = Signal(range(QUIET_CYCLES))
        with m.If(self.start):
            m.d.sync += [self.running.eq(1), quiet.eq(0), self.hazard.eq(0)]
        with m.Elif(idle):
            m.d.sync += quiet.eq(quiet + 1)
            with m.If(quiet == QUIET_CYCLES - 1):
                m.d.comb += sequencer.quiet.eq(1)
                with m.If(sequencer.idle):
                    m.d.sync += self.running.eq(0)
        with m.Else():
            m.d.sync += quiet.eq(0)
        with m.If(hazard):
            m.d.sync += self.hazard.eq(1)
        with m.If(self.reset):
            m.d.sync += [self.running.eq(0), quiet.eq(0)]

    def _count(self, m, sequencer, load, aggregate, transform):
        counts = {
            "cycles": 1,
            "commands": sequencer.dispatched,
            "program_words": sequencer.fetched,
            "edges": aggregate.edges,
            "edge_slots": Mux(aggregate.beats, self.config.pes, 0),
            "drain_entries": aggregate.entries,
            "transform_rows": transform.rows,
            "store_words": self.writes.valid & self.writes.ready,
        }
        for target in Target:
            counts[f"{target.name.lower()}_words"] = load.asked[target]
        # Registers on the way, as the counters are far from all that they count.
        for name, amount in counts.items():
            m.d.sync += getattr(self, f"count_{name}").eq(amount)
