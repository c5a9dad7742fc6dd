# SPDX-License-Identifier: Apache-2.0
"""Vectors in slices: counting and choosing them, and putting vectors together again."""

from functools import reduce
from operator import or_

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Regroup", "choose", "count_slices", "cut", "sliced"]


def count_slices(m, slices, advance, *, name="slice"):
    """Count the slices of vector after vector.

    Parameters
    ----------
    m : Module
    slices : int
        Of a vector.
    advance : Value
        The present slice is done with at the end of this cycle.
    name : str

    Returns
    -------
    Value
        Which slice of its vector the present one is, one-hot.
    """
    if slices == 1:
        return Const(1, 1)
    present = Signal(slices, name=name, init=1)
    with m.If(advance):
        m.d.sync += present.eq(present.rotate_left(1))
    return present


def choose(parts, chosen):
    """Return the one of `parts` that `chosen` has a bit for, or zero."""
    # From one-hot flip-flops a wide choice takes half of what a tree of multiplexers takes.
    marked = zip(parts, chosen, strict=True)
    return reduce(or_, (part & bit.replicate(len(part)) for part, bit in marked))


def cut(value, parts):
    """Cut a value into so many parts, lowest first."""
    width = len(value) // parts
    return [value[part * width : (part + 1) * width] for part in range(parts)]


def sliced(parts, tag):
    """Layout of a slice or a vector of some values: their lanes, `parts`, and what goes along."""
    return data.StructLayout({"parts": parts, "tag": tag})


class Regroup(wiring.Component):
    """Put vectors together out of slices, lowest lanes first.

    Takes a slice a cycle, also in the cycle in which the vector before it leaves; latency 1. Where
    a vector has one slice nothing is in between, and latency is 0.

    Parameters
    ----------
    bits, ways : int
        Bits of the lanes of a slice; values of which a vector holds lanes, one behind the other.
    tag : ShapeLike
        Goes along; that of a vector is its last slice's.
    slices : int
        Of a vector.

    Attributes
    ----------
    i : In(stream.Signature(sliced(ArrayLayout(bits, ways), tag)))
    o : Out(stream.Signature(sliced(ArrayLayout(slices * bits, ways), tag)))
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, bits: int, ways: int, tag, slices: int) -> None:
        self._slices = slices
        part, whole = (sliced(data.ArrayLayout(n * bits, ways), tag) for n in (1, slices))
        super().__init__({"i": In(stream.Signature(part)), "o": Out(stream.Signature(whole))})

    def elaborate(self, platform):
        m = Module()
        if self._slices == 1:
            m.d.comb += [
                self.o.valid.eq(self.i.valid),
                self.o.payload.eq(self.i.payload),
                self.i.ready.eq(self.o.ready),
            ]
            return m
        held = Signal(self.o.payload.shape(), reset_less=True)
        full, take = Signal(), Signal()
        last = count_slices(m, self._slices, take)[-1]
        m.d.comb += [
            self.o.valid.eq(full),
            self.o.payload.eq(held),
            self.i.ready.eq(~full | self.o.ready),
            take.eq(self.i.valid & self.i.ready),
        ]
        with m.If(take):
            m.d.sync += held.tag.eq(self.i.p.tag)
            for whole, part in zip(held.parts, self.i.p.parts, strict=True):
                m.d.sync += whole.eq(Cat(whole[len(part) :], part))
        with m.If(self.i.ready):
            m.d.sync += full.eq(take & last)
        return m
