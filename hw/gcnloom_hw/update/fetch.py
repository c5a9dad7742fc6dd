# SPDX-License-Identifier: Apache-2.0
"""Rows of logits and their labels from device memory."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.memory.port import ADDRESS_BITS, read_request
from gcnloom_hw.streams.gearbox import unpacked_word
from gcnloom_hw.streams.slices import choose, count_slices, cut
from gcnloom_hw.update.softmax import logits_vector
from gcnloom_hw.update.walk import PANEL_BITS, Walk
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import WORDS, Opcode
from gcnloom_spec.items import LABEL

__all__ = ["FetchRows"]


class FetchRows(wiring.Component):
    """Ask for rows panel by panel, hand each panel on as it comes, slice by slice.

    Asks for a word a cycle, first for one of labels where a row's label is its first, and for a
    panel only when it could reserve room for it. An answer is taken when the last slice in it is
    handed on, one a cycle, and at once where a panel is one slice; a slice is at `vectors` the
    cycle after its last word was taken. Panels that share a word are each asked for.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    start : In(1)
    address, labels : In(32)
    count : In(16)
        Rows, 1 or more. Like the addresses, read at `start`.
    panels, pitch : In
        Constant from `start` on.
    requests : Out(stream.Signature(read_request()))
        `last` marks those of labels.
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    available : In(1)
    take : Out(1)
        Room for the slices of a vector; reserved in this cycle.
    vectors : Out(stream.Signature(logits_vector(config), always_ready=True))
    """

    requests: stream.Interface
    words: stream.Interface
    vectors: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "address": In(ADDRESS_BITS),
                "labels": In(ADDRESS_BITS),
                "count": In(LOCAL_BITS),
                "panels": In(PANEL_BITS),
                "pitch": In(WORDS[Opcode.LOSS].fields["pitch"]),
                "requests": Out(stream.Signature(read_request())),
                "words": In(stream.Signature(unpacked_word(config.memory_bytes))),
                "available": In(1),
                "take": Out(1),
                "vectors": Out(stream.Signature(logits_vector(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._ask(m)
        self._arrive(m)
        return m

    def _walk(self, m, name):
        """Add a walk over the sums."""
        m.submodules[name] = walk = Walk(self.config.sums)
        m.d.comb += [
            walk.start.eq(self.start),
            walk.first_address.eq(self.address),
            walk.panels.eq(self.panels),
            walk.pitch.eq(self.pitch),
        ]
        return walk

    def _ask(self, m):
        """Ask for a word of labels, then for the rows that have theirs in it."""
        walk = self._walk(m, "asking")
        labels = Signal(ADDRESS_BITS, reset_less=True)
        asking, label_due = Signal(), Signal()
        rows = Signal(LOCAL_BITS, reset_less=True)
        label = Signal(range(self.config.label.items_per_word))
        asked, row_asked = Signal(), Signal()
        m.d.comb += [
            self.requests.valid.eq(asking & (label_due | ~walk.first_word | self.available)),
            self.requests.p.address.eq(walk.address),
            self.requests.p.last.eq(label_due),
            asked.eq(self.requests.valid & self.requests.ready),
            walk.advance.eq(asked & ~label_due),
            self.take.eq(walk.advance & walk.first_word),
            row_asked.eq(walk.advance & walk.last_word & walk.last_panel),
        ]
        with m.If(label_due):
            m.d.comb += self.requests.p.address.eq(labels)
            with m.If(asked):
                m.d.sync += [label_due.eq(0), labels.eq(labels + 1)]
        with m.If(row_asked):
            # As many labels to a word as the counter counts.
            m.d.sync += [
                label.eq(label + 1),
                label_due.eq(label.all()),
                rows.eq(rows - 1),
                asking.eq(rows != 1),
            ]
        with m.If(self.start):
            m.d.sync += [
                asking.eq(1),
                label_due.eq(1),
                label.eq(0),
                labels.eq(self.labels),
                rows.eq(self.count),
            ]

    def _arrive(self, m):
        """Keep the word of labels; pick each slice and its row's label out of their words."""
        walk = self._walk(m, "arriving")
        rows = Signal(LOCAL_BITS, reset_less=True)
        label = Signal(range(self.config.label.items_per_word))
        held = Signal(8 * self.config.memory_bytes, reset_less=True)
        there, came = Signal(), Signal()
        present = count_slices(m, self.config.update_slices, came)
        panel_ends = present[-1]
        word_ends, slice_ends, item = self._gather(m, walk, present, there)
        m.d.comb += [
            there.eq(self.words.valid & ~self.words.p.last),
            self.words.ready.eq(self.words.p.last | word_ends),
            walk.advance.eq(there & word_ends),
            came.eq(there & slice_ends),
        ]
        with m.If(self.words.valid & self.words.p.last):
            m.d.sync += held.eq(self.words.p.data)
        with m.If(came & panel_ends & walk.last_panel):
            m.d.sync += [label.eq(label + 1), rows.eq(rows - 1)]
        with m.If(self.start):
            m.d.sync += [label.eq(0), rows.eq(self.count)]

        vector = self.vectors.p
        fields = held.word_select(label, 8 * self.config.label.item_bytes)
        width = LABEL.fields["label"]
        m.d.comb += [
            self.vectors.valid.eq(delay_line(m, came, 1, name="came", reset_less=False)[-1]),
            vector.sums.as_value().eq(
                Cat(
                    item.word_select(lane, 8 * self.config.sum_bytes)[: self.config.sum_width]
                    for lane in range(self.config.update_width)
                )
            ),
        ]
        tags = {
            "label": fields[:width],
            "split": fields[width:],
            "first": walk.first_panel & present[0],
            "last": walk.last_panel & panel_ends,
            "final": rows == 1,
        }
        for name, value in tags.items():
            m.d.comb += vector[name].eq(delay_line(m, value, 1, name=name)[-1])

    def _gather(self, m, walk, present, there):
        """Return whether the word, the slice ends here; and the slice that ended a cycle ago."""
        config, packing, word = self.config, self.config.sums, self.words.p.data
        octets = packing.item_bytes
        if config.update_slices > 1:
            octets = config.update_width * config.sum_bytes
        item = Signal(8 * octets, reset_less=True)
        if octets > config.memory_bytes:
            with m.If(there):
                m.d.sync += item.eq(Cat(item[len(word) :], word))
            words = octets // config.memory_bytes
            return Const(1), count_slices(m, words, there, name="word_of_slice")[-1], item
        # A slice is a power of two of bytes; where an item is padded, the padding is left out.
        if packing.words_per_item == 1:
            word = word.word_select(walk.item, 8 * packing.item_bytes)
        places = cut(word, len(word) // (8 * octets))
        chosen = [present[place :: len(places)].any() for place in range(len(places))]
        m.d.sync += item.eq(choose(places, chosen))
        return present[-1] | chosen[-1], Const(1), item
