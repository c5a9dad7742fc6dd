# SPDX-License-Identifier: Apache-2.0
"""The loss engine: softmax cross-entropy of rows in device memory, and its gradient."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import layout
from gcnloom_hw.memory.leaving import LeavingWrites
from gcnloom_hw.memory.port import read_request, write_request
from gcnloom_hw.memory.store import extended
from gcnloom_hw.streams.gearbox import unpacked_word
from gcnloom_hw.streams.slices import Regroup
from gcnloom_hw.update.fetch import FetchRows
from gcnloom_hw.update.softmax import Softmax
from gcnloom_hw.update.totals import Totals
from gcnloom_hw.update.walk import Walk
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import EMISSION, TENSOR_BITS, WORDS, Opcode, Unit
from gcnloom_spec.items import RECORD

__all__ = ["LossEngine", "loss_command"]


def loss_command() -> data.StructLayout:
    """Layout of a loss and its shifts: `shift0` of the logits, `shift1` of the gradient."""
    shift = EMISSION["shift"]
    return data.StructLayout(
        {"command": layout(WORDS[Opcode.LOSS]), "shift0": shift, "shift1": shift}
    )


class LossEngine(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Loss` commands, one at a time.

    Asks for a word, works on a slice of a panel in each pass, and writes a word a cycle. A row so
    takes as many cycles as its panels have words or slices, whichever are more, and one more for
    each word of labels, while answers come within about 40 cycles. From a command's last answer to
    its end it is ``34 + 2 * panels`` cycles, two for each doubling of lanes and one for each word
    of a record, where a panel is one slice; then the next one is accepted. `count` and `classes`
    are at least 1, `panels` 1 to 32.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(loss_command()))
    step : In(32)
        Constant while a command is inside.
    requests : Out(stream.Signature(read_request()))
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
        Always taken where a panel is one slice; else held up for the slices that lie in them.
    writes : Out(stream.Signature(write_request(config.memory_bytes)))
    signals : Out(len(Unit))
        When memory has accepted a command's last word.
    measured_valid, measured_last, measured_tensor, measured_envelope, measured_saturations : Out
        Figures of each slice of gradients; of the last of a command.
    train_loss : Out(40)
        Of the training nodes, when the last command ended.
    judge : Out(1)
        A command with `judged` ends.
    val_loss : Out(40)
        Of the validation nodes; valid with `judge`.
    active, stalled, idle : Out(1)
    """

    commands: stream.Interface
    requests: stream.Interface
    words: stream.Interface
    writes: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "commands": In(stream.Signature(loss_command())),
                "step": In(32),
                "requests": Out(stream.Signature(read_request())),
                "words": In(stream.Signature(unpacked_word(config.memory_bytes))),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "signals": Out(len(Unit)),
                "measured_valid": Out(1),
                "measured_last": Out(1),
                "measured_tensor": Out(TENSOR_BITS),
                "measured_envelope": Out(config.sum_width),
                "measured_saturations": Out(range(config.update_width + 1)),
                "train_loss": Out(RECORD.fields["train_loss"]),
                "judge": Out(1),
                "val_loss": Out(RECORD.fields["val_loss"]),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.softmax = softmax = Softmax(self.config)
        m.submodules.totals = totals = Totals()
        m.submodules.fetch = fetch = FetchRows(self.config)
        start, finished, running = Signal(), Signal(), Signal()
        given = self.commands.p
        kept = Signal(loss_command(), reset_less=True)
        command = kept.command
        m.d.comb += [
            self.commands.ready.eq(~running),
            start.eq(self.commands.valid & self.commands.ready),
            self.idle.eq(~running & ~self.commands.valid),
            totals.clear.eq(start & given.command.first),
        ]
        with m.If(start):
            m.d.sync += [running.eq(1), kept.eq(given)]
        with m.If(finished):
            m.d.comb += [self.signals.eq(command.signals), self.judge.eq(command.judged)]
            m.d.sync += [running.eq(0), self.train_loss.eq(totals.record.train_loss)]
        self._read(m, start, fetch, softmax)
        self._calculate(m, kept, fetch, softmax, totals)
        self._write(m, start, command, softmax.gradients, totals.record, finished)
        m.d.comb += self.stalled.eq(running & ~self.active)
        return m

    def _read(self, m, start, fetch, softmax):
        """Fetch the rows of the command that is accepted."""
        given = self.commands.p.command
        m.d.comb += [
            fetch.start.eq(start),
            *(getattr(fetch, name).eq(given[name]) for name in ("address", "labels", "count")),
            fetch.available.eq(softmax.available),
            softmax.take.eq(fetch.take),
        ]
        wiring.connect(m, inner=fetch.requests, outer=wiring.flipped(self.requests))
        wiring.connect(m, inner=fetch.words, outer=wiring.flipped(self.words))
        wiring.connect(m, fetch=fetch.vectors, softmax=softmax.vectors)

    def _calculate(self, m, kept, fetch, softmax, totals):
        """Set up the arithmetic for the command; add up rows, hand figures on."""
        command = kept.command
        wiring.connect(m, softmax=softmax.rows, totals=totals.rows)
        m.d.comb += [
            *(getattr(fetch, name).eq(command[name]) for name in ("panels", "pitch")),
            *(
                getattr(softmax, name).eq(command[name])
                for name in ("classes", "panels", "multiplier", "gradient")
            ),
            softmax.logits_shift.eq(kept.shift0),
            softmax.gradient_shift.eq(kept.shift1),
            *(
                getattr(self, f"measured_{name}").eq(getattr(softmax, f"measured_{name}"))
                for name in ("valid", "last", "envelope", "saturations")
            ),
            self.measured_tensor.eq(command.tensor),
            self.val_loss.eq(totals.record.val_loss),
        ]

    def _write(self, m, start, command, gradients, record, finished):
        """Write or drop the gradients, then the record."""
        packing = self.config.vector
        vectors = self._regroup(m, gradients)
        m.submodules.writing = walk = Walk(packing)
        rows = Signal(LOCAL_BITS, reset_less=True)
        recording, passed = Signal(), Signal()
        # The record's last word says that it is.
        m.submodules.leaving = leaving = LeavingWrites(self.config.memory_bytes, tag=1)
        wiring.connect(m, inner=leaving.writes, outer=wiring.flipped(self.writes))
        writes, offered = leaving.i, leaving.i.p.write
        m.d.comb += [
            finished.eq(leaving.accepted),
            walk.start.eq(start),
            walk.first_address.eq(self.commands.p.command.gradients),
            walk.panels.eq(command.panels),
            walk.pitch.eq(command.gradient_pitch),
            walk.advance.eq(passed),
            vectors.ready.eq(writes.ready | ~command.gradient),
            passed.eq(vectors.valid & vectors.ready),
            self.active.eq(passed),
            writes.valid.eq(recording | (vectors.valid & command.gradient)),
        ]
        with m.If(passed & walk.last_panel):
            m.d.sync += [rows.eq(rows - 1), recording.eq(rows == 1)]
        with m.If(start):
            m.d.sync += rows.eq(self.commands.p.command.count)

        m.d.comb += [
            offered.address.eq(walk.address),
            offered.data.eq(_everywhere(packing, vectors.p.parts[0])),
            offered.mask.eq(_mask(packing, walk.item)),
        ]
        self._record(m, command, record, recording, writes)

    def _regroup(self, m, gradients):
        """Put vectors together, as they lie in memory."""
        octets, config = 8 * self.config.operand_bytes, self.config
        m.submodules.vectors = vectors = Regroup(
            bits=octets * config.update_width, ways=1, tag=0, slices=config.update_slices
        )
        m.d.comb += [
            vectors.i.valid.eq(gradients.valid),
            vectors.i.p.parts[0].eq(extended(gradients.payload, octets)),
            gradients.ready.eq(vectors.i.ready),
        ]
        return vectors.o

    def _record(self, m, command, record, recording, writes):
        """Write the record of this step, word by word; what precedes it has been written."""
        packing, offered = self.config.record, writes.p.write
        items, words = packing.items_per_word, packing.words_per_item
        word = Signal(range(max(2, words)))
        item = self.step[: (items - 1).bit_length()]
        place = Signal(len(offered.address), reset_less=True)
        lies = _everywhere(packing, record.as_value())
        m.d.sync += place.eq(command.record + (self.step >> len(item)) * words)
        with m.If(recording):
            m.d.comb += [
                offered.address.eq(place + word),
                offered.data.eq(lies.word_select(word, len(offered.data))),
                offered.mask.eq(_mask(packing, item)),
                writes.p.tag.eq(word == words - 1),
            ]
            with m.If(writes.ready):
                m.d.sync += word.eq(word + 1)
                with m.If(writes.p.tag):
                    m.d.sync += [word.eq(0), recording.eq(0)]


def _everywhere(packing, item):
    """Return the words of an item; one that shares its word lies in each of its places."""
    padded = Cat(item, Const(0, 8 * packing.item_bytes - len(item)))
    return padded.replicate(packing.items_per_word)


def _mask(packing, item):
    """Return which bytes are those of an item, among those that share its word."""
    return Cat(
        (item == place).replicate(packing.item_bytes) for place in range(packing.items_per_word)
    )
