# SPDX-License-Identifier: Apache-2.0
"""The order of emissions: which vector of which emission is taken, and when."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.epilogue.random_bytes import REQUEST
from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Sequence"]


class Sequence(wiring.Component):
    """Take emissions one after the other and issue a vector a cycle for each.

    An emission is asked for random bytes when it is accepted, while the one before it may still
    run. Three cycles without an issue lie between two emissions.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    emissions : In(stream.Signature(Shapes.emission))
    hold : In(1)
        Accept no emission.
    requests : Out(stream.Signature(REQUEST))
    sums_valid, sums_last, randoms_valid, available : In(1)
        Sums wait; they end their command; their random bytes wait; the pipeline has room.
    issue : Out(1)
        The vector of sums is taken in this cycle.
    issue_randoms : Out(1)
        So are its random bytes.
    active : Out(Shapes.emission)
        The emission it belongs to, with the vector's own `destination_base` and `mask_base`;
        `shift` is zero if `raw`.
    busy : Out(1)
        An emission was accepted and has vectors to come.
    """

    emissions: stream.Interface
    requests: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.emission = Shapes(config).emission
        super().__init__(
            {
                "emissions": In(stream.Signature(self.emission)),
                "hold": In(1),
                "requests": Out(stream.Signature(REQUEST)),
                "sums_valid": In(1),
                "sums_last": In(1),
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
        m.submodules.queue = queue = Queue(self.emission, depth=2)
        self._accept(m, queue.i)

        active = self.active
        draws = Signal()
        with m.FSM(name="sequence"):
            with m.State("Wait for emission"):
                m.d.comb += queue.o.ready.eq(1)
                m.d.sync += active.eq(queue.o.payload)
                with m.If(queue.o.valid):
                    m.next = "Prepare"
            with m.State("Prepare"):
                m.d.sync += draws.eq(self._draws(active))
                m.d.sync += active.shift.eq(Mux(active.raw, 0, active.shift))
                m.next = "Rest"
            with m.State("Rest"):
                # The statistics need four cycles between the ends of two emissions.
                m.next = "Run"
            with m.State("Run"):
                m.d.comb += [
                    self.issue.eq(self.sums_valid & self.available & (self.randoms_valid | ~draws)),
                    self.issue_randoms.eq(self.issue & draws),
                ]
                with m.If(self.issue):
                    m.d.sync += [
                        active.destination_base.eq(active.destination_base + 1),
                        active.mask_base.eq(active.mask_base + 1),
                    ]
                    with m.If(self.sums_last):
                        m.next = "Wait for emission"

        open_emissions = Signal(range(8))
        accepted = self.emissions.valid & self.emissions.ready
        finished = self.issue & self.sums_last
        m.d.sync += open_emissions.eq(open_emissions + accepted - finished)
        m.d.comb += self.busy.eq(open_emissions != 0)
        return m

    @staticmethod
    def _draws(emission):
        """Whether the vectors of an emission need random bytes."""
        return (emission.dropout | emission.stochastic) & (emission.vectors != 0)

    def _accept(self, m, queued):
        """Hand an emission to the queue and its request to the generator in the same cycle."""
        emission = self.emissions.payload
        draws = self._draws(emission)
        admit = ~self.hold & queued.ready & (self.requests.ready | ~draws)
        m.d.comb += [
            self.emissions.ready.eq(admit),
            queued.payload.eq(emission),
            queued.valid.eq(self.emissions.valid & admit),
            self.requests.valid.eq(self.emissions.valid & draws & ~self.hold & queued.ready),
        ]
        m.d.comb += [self.requests.payload[name].eq(emission[name]) for name in REQUEST.members]
