# SPDX-License-Identifier: Apache-2.0
"""Registers at the pins, so that every line of a bus moves at the same time."""

from amaranth import Cat, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.hdl import IOBufferInstance, IOPort

from gcnloom_fpga.part import Part

__all__ = ["DELAY", "ClockPad", "Pads"]

DELAY = 2
"""Clocks that registers at the pins add to a bus's answer: one out, one in."""


class Pads(Elaboratable):
    """Pins of one direction, or of both, each behind a register.

    Parameters
    ----------
    part : Part
    pins : IOPort
    output, enable, answer : Value, optional
        What leaves; whether it does; what arrives. Only what is given is built.
    """

    def __init__(
        self,
        part: Part,
        pins: IOPort,
        *,
        output: Value | None = None,
        enable: Value | None = None,
        answer: Value | None = None,
    ) -> None:
        self.part, self.pins = part, pins
        self.output, self.enable, self.answer = output, enable, answer

    def elaborate(self, platform):
        """Build the pins of the part's family."""
        m = Module()
        width = len(self.pins)
        out, off, come = Signal(width), Signal(width, init=-1), Signal(width)
        if self.output is not None:
            self._leave(m, self.output, out)
        if self.enable is not None:
            self._leave(m, (~self.enable).replicate(width), off)
        if self.answer is not None:
            self._arrive(m, come, self.answer)
        if self.answer is None:
            m.submodules.buffer = IOBufferInstance(self.pins, o=out)
        else:
            self._both(m, out, off, come)
        return m

    def _leave(self, m: Module, value: Value, at_pins: Signal) -> None:
        if self.part.family != "ecp5":
            m.d.sync += at_pins.eq(value)
            return
        for bit in range(len(at_pins)):
            m.submodules += Instance(
                "OFS1P3DX", i_SCLK=ClockSignal(), i_SP=Const(1), i_CD=Const(0),
                i_D=value[bit], o_Q=at_pins[bit],
            )  # fmt: skip

    def _arrive(self, m: Module, at_pins: Signal, answer: Value) -> None:
        if self.part.family != "ecp5":
            m.d.sync += answer.eq(at_pins)
            return
        come = Signal(len(at_pins))
        for bit in range(len(at_pins)):
            m.submodules += Instance(
                "IFS1P3DX", i_SCLK=ClockSignal(), i_SP=Const(1), i_CD=Const(0),
                i_D=at_pins[bit], o_Q=come[bit],
            )  # fmt: skip
        m.d.comb += answer.eq(come)

    def _both(self, m: Module, out: Signal, off: Signal, come: Signal) -> None:
        """Put the vendor's buffer at each pin; yosys finds none of its own for these."""
        for bit in range(len(self.pins)):
            pin = self.pins[bit]
            if self.part.family == "ecp5":
                m.submodules += Instance("BB", i_I=out[bit], i_T=off[bit], o_O=come[bit], io_B=pin)
            else:
                m.submodules += Instance(
                    "IOBUF", i_I=out[bit], i_OEN=off[bit], o_O=come[bit], io_IO=pin
                )


class ClockPad(Elaboratable):
    """A clock that leaves the part through the same kind of register as the lines it times.

    Parameters
    ----------
    part : Part
    pin : IOPort
    clock : Signal
    """

    def __init__(self, part: Part, pin: IOPort, clock: Signal) -> None:
        self.part, self.pin, self.clock = part, pin, clock

    def elaborate(self, platform):
        """Build the output of the part's family."""
        m = Module()
        out = Signal()
        if self.part.family == "ecp5":
            m.submodules.ddr = Instance(
                "ODDRX1F", i_SCLK=self.clock, i_RST=Const(0), i_D0=Const(1), i_D1=Const(0),
                o_Q=out,
            )  # fmt: skip
        else:
            m.submodules.ddr = Instance(
                "ODDR", i_CLK=self.clock, i_D0=Const(1), i_D1=Const(0), i_TX=Const(0), o_Q0=out
            )
        m.submodules.buffer = IOBufferInstance(self.pin, o=Cat(out))
        return m
