# SPDX-License-Identifier: Apache-2.0
"""The order of emissions: which vector of which emission is taken, and when."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gcnloom_hw.epilogue.random_bytes import REQUEST
from gcnloom_hw.epilogue.random_in_turn import PURPOSES_REQUEST
from gcnloom_hw.layout import Shapes
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import EMISSION, TENSOR_BITS
from gcnloom_spec.registers import STATISTICS

__all__ = ["Sequence", "shift_write"]


def shift_write():
    """Layout of a tensor's new shift on its way to where emissions look it up."""
    return data.StructLayout({"enable": 1, "tensor": TENSOR_BITS, "shift": EMISSION["shift"]})


class Sequence(wiring.Component):
    """Take emissions one after the other and issue a slice of a vector a cycle for each.

    An emission is asked for random bytes when it is accepted, while the one before it may still
    run. Three cycles without an issue lie between two emissions. Where nothing is drawn, what an
    emission says of dropout and stochastic rounding is not looked at.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    emissions : In(stream.Signature(Shapes.emission))
    hold : In(1)
        Accept no emission.
    shift : In(shift_write())
        A new shift of a tensor's scale, while no emission of it is inside.
    requests : Out(stream.Signature(PURPOSES_REQUEST))
    sums_valid, sums_last, randoms_valid, available : In(1)
        Sums wait; they end their command; their random bytes wait; the pipeline has room.
    vector_last : In(1)
        The slice in turn ends its vector.
    issue : Out(1)
        The slice of sums is taken in this cycle.
    issue_randoms : Out(1)
        So are its random bytes.
    active : Out(Shapes.emission)
        The emission it belongs to, with the vector's own `destination_base` and `mask_base`;
        `shift` is zero if `raw`, that of the tensor's scale if `scaled`.
    busy : Out(1)
        An emission was accepted and has vectors to come.
    """

    emissions: stream.Interface
    requests: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.scales = bool(config.master_width)
        self.draws = not config.without_draws
        self.emission = Shapes(config).emission
        super().__init__(
            {
                "emissions": In(stream.Signature(self.emission)),
                "hold": In(1),
                "shift": In(shift_write()),
                "requests": Out(stream.Signature(PURPOSES_REQUEST)),
                "sums_valid": In(1),
                "sums_last": In(1),
                "vector_last": In(1),
                "randoms_valid": In(1),
                "available": In(1),
                "issue": Out(1),
                "issue_randoms": Out(1),
                "active": Out(self.emission),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        active, following = self.active, Signal(self.emission, reset_less=True)
        draws = Signal()
        follows, take, following_draws = self._accept(m, following)

        shift = self._shift(m, active)
        # One flag instead of the state's code: the longest path of the epilogue starts here.
        # Another says that random bytes go with it: their queue is far from that of the sums.
        running, drawing = Signal(), Signal()
        m.d.comb += [
            self.issue.eq(
                running & self.sums_valid & self.available & (self.randoms_valid | ~draws)
            ),
            self.issue_randoms.eq(drawing & self.sums_valid & self.available & self.randoms_valid),
        ]
        with m.If(self.issue & self.vector_last):
            m.d.sync += [
                active.destination_base.eq(active.destination_base + 1),
                active.mask_base.eq(active.mask_base + 1),
            ]

        with m.FSM(name="sequence") as fsm:
            with m.State("Wait for emission"):
                m.d.comb += take.eq(follows)
                m.d.sync += [active.eq(following), draws.eq(following_draws)]
                with m.If(follows):
                    m.next = "Prepare"
            with m.State("Prepare"):
                m.d.sync += active.shift.eq(Mux(active.raw, 0, shift))
                m.next = "Rest"
            with m.State("Rest"):
                # The statistics need four cycles between the ends of two emissions.
                m.d.sync += [running.eq(1), drawing.eq(draws)]
                m.next = "Run"
            with m.State("Run"), m.If(self.issue & self.sums_last & self.vector_last):
                m.d.sync += [running.eq(0), drawing.eq(0)]
                m.next = "Wait for emission"
        with m.If(~fsm.ongoing("Wait for emission")):
            m.d.comb += self.busy.eq(1)
        return m

    def _shift(self, m, active):
        """Shift of an emission: its own, or that of its tensor's scale."""
        if not self.scales:
            return active.shift
        m.submodules.shifts = shifts = Memory(shape=EMISSION["shift"], depth=STATISTICS, init=[])
        write, read = shifts.write_port(), shifts.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.shift.enable),
            write.addr.eq(self.shift.tensor),
            write.data.eq(self.shift.shift),
            read.addr.eq(active.tensor),
        ]
        return Mux(active.scaled, read.data, active.shift)

    def _accept(self, m, following):
        """Hold the emission that follows, and ask for its random bytes at once.

        Returns whether one follows that has been asked for, the signal that takes it, and
        whether it needs random bytes.
        """
        emission = self.emissions.payload
        needs = emission.dropout | emission.stochastic if self.draws else 0
        held, draws, asked, take = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.emissions.ready.eq(~held & ~self.hold),
            self.requests.valid.eq(held & draws & ~asked),
            self.requests.p.dropout.eq(following.dropout),
            self.requests.p.rounding.eq(following.stochastic),
        ]
        m.d.comb += [self.requests.payload[name].eq(following[name]) for name in REQUEST.members]
        with m.If(take):
            m.d.sync += held.eq(0)
        with m.Elif(self.emissions.valid & self.emissions.ready):
            m.d.sync += held.eq(1)
        with m.If(~held):
            m.d.sync += [
                following.eq(emission),
                draws.eq(needs & (emission.vectors != 0)),
                asked.eq(0),
            ]
            if not self.draws:
                m.d.sync += [following.dropout.eq(0), following.stochastic.eq(0)]
        with m.Elif(self.requests.ready):
            m.d.sync += asked.eq(1)
        with m.If(held):
            m.d.comb += self.busy.eq(1)
        return held & (asked | ~draws), take, draws
