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
DEPTHS = {1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024}
"""Width to depth of memories that fill a block RAM of 18 kbit."""
SPREAD = 1999
"""Between addresses, so that eight of them differ in low and in high bits."""
PHASE = 64
"""Steps in which one half of the accumulators is summed in and the other read out."""


class Words(wiring.Component):
    """Memories of every width that a block RAM has, one with enables and registers behind two."""

    write_address: In(14)
    write_data: In(32)
    write_bytes: In(4)
    read_address: In(14)
    read: In(1)
    word: Out(32)
    narrow: Out(16)
    odd: Out(sum(DEPTHS))

    def elaborate(self, platform):
        m = Module()
        # 36 bits wide and with bytes of 9, as vendors' block RAMs are.
        data = Cat(*(Cat(self.write_data[8 * i : 8 * i + 8], 1) for i in range(4)))
        wide = self._memory(
            m, 36, 512, data, enable=self.write_bytes, granularity=9, read=self.read
        )
        half = self._memory(m, 16, 512, self.write_data, enable=self.write_bytes[0])
        odd = [
            self._memory(m, bits, DEPTHS[bits], self.write_data, enable=self.read)
            for bits in DEPTHS
        ]
        word = Signal(36, reset_less=True)
        narrow = Signal(16, reset_less=True)
        m.d.sync += [word.eq(wide), narrow.eq(half)]
        m.d.comb += [
            self.word.eq(Cat(*(word[9 * i : 9 * i + 8] for i in range(4)))),
            self.narrow.eq(narrow),
            self.odd.eq(Cat(*odd)),
        ]
        return m

    def _memory(self, m, bits, depth, given, *, enable, granularity=None, read=1):
        """What is read of a memory that begins with random words."""
        rng = random.Random(bits)
        memory = Memory(
            shape=unsigned(bits), depth=depth, attrs={"no_rw_check": 1},
            init=[rng.getrandbits(bits) for _ in range(depth)],
        )  # fmt: skip
        m.submodules[f"memory{bits}"] = memory
        write_port, read_port = memory.write_port(granularity=granularity), memory.read_port()
        m.d.comb += [
            write_port.en.eq(enable), write_port.data.eq(given), read_port.en.eq(read),
            write_port.addr.eq(self.write_address), read_port.addr.eq(self.read_address),
        ]  # fmt: skip
        return read_port.data


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
            "words.write_address": address * SPREAD, "words.write_data": rng.getrandbits(32),
            "words.write_bytes": rng.getrandbits(4),
            "words.read_address": (address + rng.randrange(1, 8)) % 8 * SPREAD,
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
