# SPDX-License-Identifier: Apache-2.0
"""Several streams into one, in turns."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Merge"]


class Merge(wiring.Component):
    """Round-robin merge into a sink that always takes; an input is served within `inputs` cycles.

    Latency 1: an item accepted now is at `o` in the next cycle. One item a cycle in all.

    Parameters
    ----------
    shape : ShapeLike
    inputs : int

    Attributes
    ----------
    i0, i1, ... : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
        `ready` is not looked at: the sink must always be ready.
    """

    latency = 1

    o: stream.Interface

    def __init__(self, shape, *, inputs: int) -> None:
        self._shape = shape
        self._inputs = inputs
        super().__init__(
            {
                **{f"i{index}": In(stream.Signature(shape)) for index in range(inputs)},
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        inputs = [getattr(self, f"i{index}") for index in range(self._inputs)]
        turn = Signal(range(max(2, self._inputs)))
        m.d.sync += self.o.valid.eq(0)
        with m.Switch(turn):
            for first in range(self._inputs):
                with m.Case(first):
                    self._serve(m, inputs[first:] + inputs[:first], turn, first)
        return m

    def _serve(self, m, inputs, turn, first):
        blocked = 0
        for offset, candidate in enumerate(inputs):
            m.d.comb += candidate.ready.eq(~blocked if offset else 1)
            with m.If(candidate.valid & candidate.ready):
                m.d.sync += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(candidate.payload),
                    turn.eq((first + offset + 1) % self._inputs),
                ]
            blocked = blocked | candidate.valid
