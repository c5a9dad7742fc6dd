# SPDX-License-Identifier: Apache-2.0
"""Several streams into one, in turns."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Merge"]


class Merge(wiring.Component):
    """Round-robin merge into a sink that always takes.

    The turn stays with an input until another one waits, and passes on a cycle after that; so an
    input is served within `inputs` cycles. `ready` says whose turn it is and depends on nothing
    else: no path leads through from input to input. Latency 1: an item accepted now is at `o` in
    the next cycle. One item a cycle in all.

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
        with m.Switch(turn):
            for index, served in enumerate(inputs):
                with m.Case(index):
                    m.d.comb += served.ready.eq(1)
                    m.d.sync += [
                        self.o.valid.eq(served.valid),
                        self.o.payload.eq(served.payload),
                    ]
                    self._pass_on(m, inputs, turn, index)
        return m

    def _pass_on(self, m, inputs, turn, index):
        """Give the turn to the nearest input after `index` that waits, if there is one."""
        for offset in reversed(range(1, self._inputs)):
            following = (index + offset) % self._inputs
            with m.If(inputs[following].valid):
                m.d.sync += turn.eq(following)
