# SPDX-License-Identifier: Apache-2.0
"""Units, fabric and sequencer: everything of the accelerator but its registers."""

from amaranth import Cat, Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.control.counting import count, count_moves
from gcnloom_hw.control.gate import Gate
from gcnloom_hw.control.handover import describe_emission, hand_fields
from gcnloom_hw.control.issue import READS as ISSUER_READS
from gcnloom_hw.control.issue import SETTLE, Doorway, Issuer
from gcnloom_hw.control.running import Running
from gcnloom_hw.control.sequencer import Sequencer
from gcnloom_hw.control.status import Status
from gcnloom_hw.control.tokens import Tokens
from gcnloom_hw.epilogue.compact import CompactEpilogue
from gcnloom_hw.epilogue.epilogue import Epilogue
from gcnloom_hw.fabric import Fabric
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.load import Load
from gcnloom_hw.memory.port import ADDRESS_BITS, ReadArbiter, WriteArbiter, write_request
from gcnloom_hw.memory.store import Store
from gcnloom_hw.streams.fork import Fork
from gcnloom_hw.transform.engine import TransformEngine
from gcnloom_hw.update.scales import scale_entry
from gcnloom_hw.update.sharing import share_memory, share_statistics
from gcnloom_hw.update.unit import UpdateUnit, update_command
from gcnloom_spec.commands import units_of
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import TENSOR_BITS, WORDS, Opcode, Unit
from gcnloom_spec.items import RECORD

__all__ = ["RESET_STAGES", "Core"]

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
    keep : In(1)
        Go on with the statistics that there are.
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
                "keep": In(1),
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
        issuing = Issuer if config.compact else Sequencer
        sequencer = self._unit(m, resets, "sequencer", issuing(config))
        tokens = self._unit(m, resets, "tokens", Tokens(SETTLE) if config.compact else Tokens())
        last = 3 if config.master_width else 1
        room = {"outstanding": ISSUER_READS, "buffer": 0} if config.compact else {}
        arbiter = ReadArbiter(config.memory_bytes, clients=last + 1, **room)
        reads = self._unit(m, resets, "reads", arbiter)
        load = self._unit(m, resets, "load", Load(config))
        store = self._unit(m, resets, "store", Store(config))
        fabric = self._unit(m, resets, "fabric", Fabric(config))
        transform = self._unit(m, resets, "transform", TransformEngine(config))
        behind = CompactEpilogue if config.compact else Epilogue
        epilogue = self._unit(m, resets, "transform_epilogue", behind(config))
        outer = wiring.flipped(self)
        wiring.connect(m, client=sequencer.requests, port=reads.requests0)
        # What the update unit reads is little, and the engine before it would wait for it.
        wiring.connect(m, client=load.requests, port=getattr(reads, f"requests{last}"))
        wiring.connect(m, port=reads.words0, client=sequencer.words)
        wiring.connect(m, port=getattr(reads, f"words{last}"), client=load.words)
        wiring.connect(m, inner=reads.addresses, outer=outer.addresses)
        wiring.connect(m, outer=outer.answers, inner=reads.answers)

        wiring.connect(m, load=load.left_writes, fabric=fabric.load_left)
        wiring.connect(m, load=load.right_writes, fabric=fabric.load_right)
        if config.mask_depth:
            wiring.connect(m, load=load.mask_transform_writes, epilogue=epilogue.mask_writes)
        wiring.connect(m, fabric=fabric.left, engine=transform.left_writes)
        wiring.connect(m, fabric=fabric.right, engine=transform.right_writes)

        wiring.connect(m, engine=transform.sums, epilogue=epilogue.sums)
        wiring.connect(m, epilogue=epilogue.vectors, fabric=fabric.transform)
        wiring.connect(m, fabric=fabric.transform_stored, store=store.transform)

        gates = self._gates(m, resets, sequencer, tokens)
        wiring.connect(m, gate=gates[Unit.LOAD].o, unit=load.commands)
        wiring.connect(m, gate=gates[Unit.STORE].o, unit=store.commands)
        steps = gates[Unit.TRANSFORM].o
        self._emitting(m, resets, "transform", steps, transform.commands, epilogue)
        signals = {
            Unit.LOAD: load.signals,
            Unit.TRANSFORM: fabric.transform_signals,
            Unit.STORE: store.signals,
        }
        for unit, source in signals.items():
            m.d.comb += getattr(tokens, f"signals{unit}").eq(source)
        aggregate, epilogues = None, [epilogue]
        if config.sparse:
            aggregate, beside = self._sparse(m, resets, load, store, fabric, gates, tokens)
            epilogues = [beside, epilogue]
        update = self._update(m, resets, reads, store, fabric, gates, tokens, epilogues)
        for epilogue in epilogues:
            m.d.comb += [
                epilogue.seed.eq(self.seed),
                epilogue.step.eq(self.progress),
                epilogue.clear.eq(self.start & ~self.keep),
            ]
        idle = Cat(
            *(part.idle for part in (load, store, transform, *epilogues)),
            update.idle if update is not None else 1,
            *(gate.idle for gate in gates.values()),
            aggregate.aggregate_idle & aggregate.drain_idle if aggregate is not None else 1,
        ).all()
        self._run(m, sequencer, idle, aggregate.hazard if aggregate is not None else 0)
        count_moves(m, self, gates, load, aggregate, transform, store, update)
        count(m, self, sequencer, load, aggregate, transform, store, update)
        return m

    def _sparse(self, m, resets, load, store, fabric, gates, tokens):
        """Add the sparse engine and the epilogue behind it."""
        aggregate = self._unit(m, resets, "aggregate", AggregateEngine(self.config))
        epilogue = self._unit(m, resets, "aggregate_epilogue", Epilogue(self.config))
        wiring.connect(m, load=load.operand_writes, fabric=fabric.load_operand)
        wiring.connect(m, load=load.edge_writes, engine=aggregate.edge_writes)
        wiring.connect(m, load=load.order_writes, engine=aggregate.order_writes)
        wiring.connect(m, load=load.mask_aggregate_writes, epilogue=epilogue.mask_writes)
        wiring.connect(m, fabric=fabric.operand, engine=aggregate.operand_writes)
        wiring.connect(m, engine=aggregate.sums, epilogue=epilogue.sums)
        wiring.connect(m, epilogue=epilogue.vectors, fabric=fabric.aggregate)
        wiring.connect(m, fabric=fabric.aggregate_stored, store=store.aggregate)
        hand_fields(m, gates[Unit.AGGREGATE].o, aggregate.aggregates)
        self._emitting(m, resets, "drain", gates[Unit.DRAIN].o, aggregate.drains, epilogue)
        m.d.comb += [
            getattr(tokens, f"signals{Unit.AGGREGATE}").eq(aggregate.signals),
            getattr(tokens, f"signals{Unit.DRAIN}").eq(fabric.aggregate_signals),
        ]
        return aggregate, epilogue

    def _unit(self, m, resets, name, unit):
        """Add a unit and the next register of the reset's way to it."""
        m.submodules[name] = ResetInserter(next(resets))(unit)
        return unit

    def _gates(self, m, resets, sequencer, tokens):
        """One queue and gate a unit."""
        commands = Shapes(self.config).commands
        shapes = {
            unit: update_command() if unit == Unit.UPDATE else commands[Opcode[unit.name]]
            for unit in units_of(self.config)
        }
        gates = {}
        for unit, shape in shapes.items():
            if self.config.compact:
                gate = Doorway(shape, hold=unit == Unit.STORE)
            else:
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
            share_statistics(m, self, epilogues, None)
            return None
        update = self._unit(m, resets, "update", UpdateUnit(self.config))
        shape = store.writes.payload.shape()
        writes = self._unit(m, resets, "writes", WriteArbiter(shape, clients=3))
        wiring.connect(m, client=store.writes, port=writes.i0)
        wiring.connect(m, inner=writes.o, outer=outer.writes)
        share_memory(m, update, reads, writes)
        wiring.connect(m, fabric=fabric.aggregate_stepped, update=update.aggregate)
        wiring.connect(m, fabric=fabric.transform_stepped, update=update.transform)
        wiring.connect(m, gate=gates[Unit.UPDATE].o, unit=update.commands)
        m.d.comb += [
            getattr(tokens, f"signals{Unit.UPDATE}").eq(update.signals),
            update.seed.eq(self.seed),
            update.step.eq(self.progress),
            update.clear.eq(self.start & ~self.keep),
        ]
        share_statistics(m, self, epilogues, update)
        return update

    def _emitting(self, m, resets, name, commands, sink, epilogue):
        """Hand commands to an engine, and what becomes of its sums to the epilogue behind it."""
        fork = self._unit(m, resets, f"{name}_fork", Fork(commands.payload.shape(), outputs=2))
        wiring.connect(m, gate=commands, fork=fork.i)
        m.d.comb += fork.choose.eq(0b11)
        hand_fields(m, fork.o0, sink)
        emits = fork.o1.p.last if name == "transform" else 1
        describe_emission(m, fork.o1, epilogue, emits)

    def _run(self, m, sequencer, idle, hazard):
        m.submodules.run = run = Running()
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.address.eq(self.program_address),
            sequencer.count.eq(self.program_count),
            sequencer.finish.eq(self.finish),
            sequencer.worse.eq(self.worse),
            sequencer.quiet.eq(run.quiet),
            run.idle.eq(idle),
            run.waits.eq(sequencer.ends),
            run.ended.eq(sequencer.idle),
            run.advance.eq(sequencer.advance),
            run.hazard_now.eq(hazard),
            *(getattr(run, name).eq(getattr(self, name)) for name in ("start", "reset", "step")),
            *(getattr(self, name).eq(getattr(run, name)) for name in ("running", "hazard")),
            # Nothing advances the step of a compact accelerator.
            self.progress.eq(self.step if self.config.compact else run.progress),
            self.fault.eq(sequencer.fault),
        ]
