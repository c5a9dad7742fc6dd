# SPDX-License-Identifier: Apache-2.0
"""The update unit: deals losses, weight steps and scales, and keeps their statistics."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.epilogue.sequence import shift_write
from gcnloom_hw.epilogue.statistics import SATURATION_BITS, Statistics
from gcnloom_hw.layout import Shapes, layout
from gcnloom_hw.memory.port import read_request, write_request
from gcnloom_hw.streams.gearbox import unpacked_word
from gcnloom_hw.update.loss import LossEngine
from gcnloom_hw.update.scales import Scales, scale_entry
from gcnloom_hw.update.step import StepEngine
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES, HEADER, TENSOR_BITS, WORDS, Opcode, Unit
from gcnloom_spec.items import RECORD

__all__ = ["UpdateUnit", "update_command"]


def update_command():
    """Layout of a command of the unit, whatever its opcode."""
    rest = 8 * COMMAND_BYTES - sum(HEADER.values())
    return data.StructLayout({**HEADER, "rest": rest})


class UpdateUnit(wiring.Component):
    """Execute :class:`~gcnloom_spec.commands.Loss`, ``Step`` and ``Scale`` commands.

    Commands of one kind follow each other without a pause; another kind begins when the ones
    before have ended.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(update_command()))
    aggregate, transform : In(stream.Signature(Shapes.sums))
        Weight gradients.
    loss_requests, step_requests : Out(stream.Signature(read_request()))
    loss_words, step_words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    loss_writes, step_writes : Out(stream.Signature(write_request(config.memory_bytes)))
    seed, step : In(32)
    clear : In(1)
        Zero the statistics; only while `idle`. Commands wait until it is done.
    statistic : In(7)
        Tensor whose statistics and scale the host reads.
    envelope, saturations, scale : Out
        Of that tensor, or of one that is scaled; the first two count this unit's part only.
    chosen : Out(7)
        Tensor whose envelope is wanted of every part.
    envelopes : In(sum_width)
        That of all parts.
    forget : Out(1)
    written : Out(shift_write())
    train_loss, val_loss : Out(40)
    judge : Out(1)
    signals : Out(len(Unit))
    active, stalled, idle : Out(1)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        requests = Out(stream.Signature(read_request()))
        words = In(stream.Signature(unpacked_word(config.memory_bytes)))
        writes = Out(stream.Signature(write_request(config.memory_bytes)))
        super().__init__(
            {
                "commands": In(stream.Signature(update_command())),
                "aggregate": In(stream.Signature(shapes.sums)),
                "transform": In(stream.Signature(shapes.sums)),
                "loss_requests": requests,
                "step_requests": requests,
                "loss_words": words,
                "step_words": words,
                "loss_writes": writes,
                "step_writes": writes,
                "seed": In(32),
                "step": In(32),
                "clear": In(1),
                "statistic": In(TENSOR_BITS),
                "envelope": Out(config.sum_width),
                "saturations": Out(SATURATION_BITS),
                "scale": Out(scale_entry()),
                "chosen": Out(TENSOR_BITS),
                "envelopes": In(config.sum_width),
                "forget": Out(1),
                "written": Out(shift_write()),
                "train_loss": Out(RECORD.fields["train_loss"]),
                "val_loss": Out(RECORD.fields["val_loss"]),
                "judge": Out(1),
                "signals": Out(len(Unit)),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.loss = loss = LossEngine(self.config)
        m.submodules.step = step = StepEngine(self.config)
        m.submodules.scales = scales = Scales(self.config)
        outer = wiring.flipped(self)
        for name, engine in (("loss", loss), ("step", step)):
            for port in ("requests", "words", "writes"):
                wiring.connect(
                    m, inner=getattr(engine, port), outer=getattr(outer, f"{name}_{port}")
                )
        wiring.connect(m, outer=outer.aggregate, inner=step.aggregate)
        wiring.connect(m, outer=outer.transform, inner=step.transform)
        clearing, busy = self._count(m, loss, step)
        held = self._deal(m, loss, step, scales, clearing)
        m.d.comb += [
            loss.step.eq(self.step),
            step.step.eq(self.step),
            step.seed.eq(self.seed),
            scales.statistic.eq(self.statistic),
            scales.envelope.eq(self.envelopes),
            self.scale.eq(scales.entry),
            self.chosen.eq(scales.chosen),
            self.forget.eq(scales.forget),
            self.written.eq(scales.written),
            self.train_loss.eq(loss.train_loss),
            self.val_loss.eq(loss.val_loss),
            self.judge.eq(loss.judge),
            self.signals.eq(loss.signals | step.signals | scales.signals),
            self.active.eq(loss.active | step.active | ~scales.idle),
            self.stalled.eq(loss.stalled | step.stalled),
            self.idle.eq(loss.idle & step.idle & scales.idle & ~held & ~busy),
        ]
        return m

    def _deal(self, m, loss, step, scales, clearing):
        """Look up a command's shifts and hand it to its engine; return whether one is held."""
        words = {opcode: layout(WORDS[opcode]) for opcode in (Opcode.LOSS, Opcode.STEP)}
        raw = self.commands.payload.as_value()
        command = Signal(update_command(), reset_less=True)
        views = {
            opcode: data.View(word, command.as_value()[: word.size])
            for opcode, word in words.items()
        }
        scale = layout(WORDS[Opcode.SCALE])
        held, known = Signal(), Signal()
        # From registers: an engine is not idle while it is offered a command.
        loss_idle, step_idle = Signal(), Signal()
        m.d.sync += [loss_idle.eq(loss.idle), step_idle.eq(step.idle)]
        m.d.comb += [
            # Envelopes of the run before are not fitted to, nor is any of this one zeroed.
            self.commands.ready.eq(~held & ~self.clear & ~clearing),
            scales.commands.payload.eq(data.View(scale, command.as_value()[: scale.size])),
        ]
        with m.If(~held):
            m.d.sync += [
                command.as_value().eq(raw),
                held.eq(self.commands.valid & self.commands.ready),
                known.eq(0),
            ]
        for engine, view in ((loss, views[Opcode.LOSS]), (step, views[Opcode.STEP])):
            m.d.comb += [
                engine.commands.p.command.eq(view),
                engine.commands.p.shift0.eq(scales.shift0),
                engine.commands.p.shift1.eq(scales.shift1),
            ]
        # The shift of what comes in, and that of what goes out.
        losses = views[Opcode.LOSS]
        first = Mux(command.opcode == Opcode.LOSS, losses.logits, views[Opcode.STEP].gradient)
        second = Mux(command.opcode == Opcode.LOSS, losses.tensor, views[Opcode.STEP].tensor)
        m.d.comb += [scales.lookups.p[0].eq(first), scales.lookups.p[1].eq(second)]
        with m.If(held):
            with m.Switch(command.opcode):
                with m.Case(Opcode.SCALE):
                    m.d.comb += scales.commands.valid.eq(loss_idle & step_idle)
                    with m.If(scales.commands.valid & scales.commands.ready):
                        m.d.sync += held.eq(0)
                with m.Case(Opcode.LOSS):
                    self._offer(m, held, known, scales, loss, step_idle)
                with m.Case(Opcode.STEP):
                    self._offer(m, held, known, scales, step, loss_idle)
        return held

    def _offer(self, m, held, known, scales, engine, other_idle):
        m.d.comb += [
            scales.lookups.valid.eq(~known),
            engine.commands.valid.eq(known & other_idle),
        ]
        with m.If(scales.lookups.valid & scales.lookups.ready):
            m.d.sync += known.eq(1)
        with m.If(engine.commands.valid & engine.commands.ready):
            m.d.sync += held.eq(0)

    def _count(self, m, loss, step):
        """Statistics of gradients and weights, and those of clipped masters.

        Returns whether they are being zeroed, and whether they are busy at all.
        """
        update_width = self.config.update_width
        m.submodules.statistics = statistics = Statistics(self.config, most=update_width)
        m.submodules.masters = masters = Statistics(self.config, most=2 * update_width)
        for name in ("valid", "last", "tensor", "envelope", "saturations"):
            figures = [getattr(engine, f"measured_{name}") for engine in (loss, step)]
            chosen = Mux(step.measured_valid, figures[1], figures[0])
            m.d.comb += getattr(statistics, name).eq(chosen)
        for name in ("valid", "last", "tensor", "saturations"):
            m.d.comb += getattr(masters, name).eq(getattr(step, f"masters_{name}"))
        for part in (statistics, masters):
            m.d.comb += [
                part.clear.eq(self.clear),
                part.statistic.eq(self.chosen),
                part.forget.eq(self.forget),
            ]
        m.d.comb += [
            self.envelope.eq(statistics.read_envelope),
            self.saturations.eq(statistics.read_saturations + masters.read_saturations),
        ]
        return statistics.clearing, statistics.busy | masters.busy
