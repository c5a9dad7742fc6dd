# SPDX-License-Identifier: Apache-2.0
"""Commands on their way from a unit's gate to its engine and to the epilogue behind it."""

from amaranth import Mux

from gcnloom_spec.isa import EMISSION

__all__ = ["describe_emission", "hand_fields"]


def hand_fields(m, source, sink):
    """Connect streams of which the second has some of the first's fields."""
    m.d.comb += [
        sink.valid.eq(source.valid),
        source.ready.eq(sink.ready),
        *(sink.p[name].eq(source.p[name]) for name in sink.payload.shape().members),
    ]


def describe_emission(m, source, epilogue, emits):
    """Describe a command's emission, empty or not: its signals pass the epilogue in any case."""
    m.d.comb += [
        epilogue.emissions.valid.eq(source.valid),
        source.ready.eq(epilogue.emissions.ready),
        epilogue.emissions.p.signals.eq(source.p.signals),
        *(epilogue.emissions.p[name].eq(Mux(emits, source.p[name], 0)) for name in EMISSION),
    ]
