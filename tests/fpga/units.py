# SPDX-License-Identifier: Apache-2.0
"""The gateware around multipliers and block RAMs, in one component, and inputs for it."""

import random
from dataclasses import replace

from amaranth import Cat, Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_hw.layout import Shapes
from gcnloom_hw.transform.row import ArrayRow
from gcnloom_spec.config import AcceleratorConfig

CONFIG = replace(AcceleratorConfig.from_toml("smallest"), columns=2, memory_bytes=8)
PHASE = 64
"""Steps in which one half of the accumulators is summed in and the other read out."""


class Words(wiring.Component):
    """A memory with enables for bytes and for reading, and a register behind it."""

    write_address: In(9)
    write_data: In(32)
    write_bytes: In(4)
    read_address: In(9)
    read: In(1)
    word: Out(32)
    narrow: Out(16)

    def elaborate(self, platform):
        m = Module()
        # 36 bits wide and with bytes of 9, as vendors' block RAMs are; and a part of that.
        m.submodules.wide = wide = Memory(
            shape=unsigned(36), depth=512, init=[], attrs={"no_rw_check": 1}
        )
        m.submodules.half = half = Memory(
            shape=unsigned(16), depth=512, init=range(0, 512 * 7, 7), attrs={"no_rw_check": 1}
        )
        data = Cat(*(Cat(self.write_data[8 * i : 8 * i + 8], 1) for i in range(4)))
        wide_write, wide_read = wide.write_port(granularity=9), wide.read_port()
        half_write, half_read = half.write_port(), half.read_port()
        m.d.comb += [
            wide_write.en.eq(self.write_bytes), wide_write.data.eq(data),
            half_write.en.eq(self.write_bytes[0]), half_write.data.eq(self.write_data),
        ]  # fmt: skip
        for write, read in ((wide_write, wide_read), (half_write, half_read)):
            m.d.comb += [write.addr.eq(self.write_address), read.addr.eq(self.read_address)]
        m.d.comb += wide_read.en.eq(self.read)
        word = Signal(36, reset_less=True)
        narrow = Signal(16, reset_less=True)
        m.d.sync += [word.eq(wide_read.data), narrow.eq(half_read.data)]
        m.d.comb += [
            self.word.eq(Cat(*(word[9 * i : 9 * i + 8] for i in range(4)))),
            self.narrow.eq(narrow),
        ]
        return m


class Product(wiring.Component):
    """A product with plain registers before and behind it."""

    a: In(signed(9))
    b: In(signed(8))
    product: Out(signed(17))

    def elaborate(self, platform):
        m = Module()
        a, b = (
            Signal(port.shape(), name=name, reset_less=True)
            for name, port in (("a", self.a), ("b", self.b))
        )
        product = Signal(signed(17), reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b)]
        m.d.comb += self.product.eq(product)
        return m


class Units(wiring.Component):
    """A processing element, a row of the array, words in block RAM, and a product."""

    def __init__(self):
        self._parts = {
            "pe": ProcessingElement(CONFIG),
            "row": ArrayRow(CONFIG),
            "words": Words(),
            "product": Product(),
        }
        super().__init__({name: Out(part.signature) for name, part in self._parts.items()})

    def elaborate(self, platform):
        m = Module()
        for name, part in self._parts.items():
            m.submodules[name] = part
            wiring.connect(m, inner=part, outer=wiring.flipped(getattr(self, name)))
        return m


def stimuli(count, *, seed):
    """Inputs that keep the units' rules; nothing is read while it is written."""
    rng = random.Random(seed)
    for step in range(count):
        half = step // PHASE % 2
        address = rng.randrange(8)
        values = {
            "words.write_address": address, "words.write_data": rng.getrandbits(32),
            "words.write_bytes": rng.getrandbits(4),
            "words.read_address": (address + rng.randrange(1, 8)) % 8,
            "words.read": rng.random() < 0.7,
            "product.a": rng.getrandbits(9), "product.b": rng.getrandbits(8),
            **{f"row.{name}": rng.getrandbits(64) for name in ("left", "rights", "above")},
            "row.control": rng.choice((0b0001, 0b0010, 0b0110, 0b1010, 0b1000, 0b0000)),
            "pe.operands": rng.getrandbits(64), "pe.words.ready": 1,
            "pe.slots.valid": rng.random() < 0.2, "pe.slots.payload": 8 * (1 - half) + address,
        }  # fmt: skip
        # An edge names the slot that one did four steps before, or a later one of eight.
        slot = 8 * half + (step % 4 if rng.random() < 0.5 else 4 + step % 4)
        active = step % PHASE < PHASE - 16 and rng.random() < 0.6
        yield values | edge(slot, valid=active, first=rng.random() < 0.3, weight=rng.getrandbits(8))


def edge(slot, *, valid, first, weight):
    """An edge's fields where the element's layout has them."""
    shape = Shapes(CONFIG).edge
    fields = {"valid": int(valid), "first": int(first), "slot": slot, "weight": weight}
    number = 0
    for name, field in shape:
        number |= (fields.get(name, 0) & (1 << field.width) - 1) << field.offset
    return {"pe.edge": number}
