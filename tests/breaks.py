# SPDX-License-Identifier: Apache-2.0
"""The lines of the gateware that `mutations.py` breaks, and the tests that should notice."""

from dataclasses import dataclass

HW = "hw/gcnloom_hw"
EPILOGUE = ("tests/hw/test_epilogue.py",)
AGGREGATE = ("tests/hw/test_aggregate.py",)
TIMING = ("tests/hw/test_aggregate_timing.py",)
DRAIN = ("tests/hw/test_drain.py",)
TRANSFORM = ("tests/hw/test_transform.py",)
STREAMS = ("tests/hw/test_streams.py", "tests/hw/test_buffers.py")
SMALLEST = ("tests/system/test_random_programs.py", "-k", "smallest")
TALL = ("tests/system/test_random_programs.py", "-k", "tall")


@dataclass(frozen=True)
class Mutation:
    """One line of one file, broken."""

    file: str
    before: str
    after: str
    tests: tuple[str, ...]


GATEWARE = [
    Mutation(
        f"{HW}/arithmetic/requantise.py",
        "Mux(quotient[0] | sticky, half, half - 1)",
        "Mux(quotient[0], half, half - 1)",
        ("tests/hw/test_requantise.py",),
    ),
    Mutation(
        f"{HW}/arithmetic/threefry.py",
        "group, position = divmod(index + 1, ROUNDS_PER_KEY)",
        "group, position = divmod(index, ROUNDS_PER_KEY)",
        ("tests/hw/test_threefry.py",),
    ),
    Mutation(
        f"{HW}/epilogue/gate.py",
        "randoms.dropout[lane] < controls.threshold",
        "randoms.dropout[lane] <= controls.threshold",
        EPILOGUE,
    ),
    Mutation(f"{HW}/epilogue/random_bytes.py", "request.row.eq(request.row + 1),", "", EPILOGUE),
    Mutation(
        f"{HW}/epilogue/statistics.py",
        "merged.envelope.eq(stored.envelope | total.envelope)",
        "merged.envelope.eq(stored.envelope ^ total.envelope)",
        EPILOGUE,
    ),
    Mutation(f"{HW}/aggregate/pe.py", "with m.If(clears[4]):", "with m.If(0):", AGGREGATE),
    Mutation(f"{HW}/aggregate/pe.py", "asked.o.ready.eq(free)", "asked.o.ready.eq(1)", AGGREGATE),
    Mutation(
        f"{HW}/aggregate/pe.py",
        "for distance in range(1, HAZARD_DISTANCE)",
        "for distance in range(1, HAZARD_DISTANCE - 1)",
        AGGREGATE,
    ),
    Mutation(f"{HW}/aggregate/drain.py", "free.eq(places > 2)", "free.eq(places > 1)", DRAIN),
    Mutation(
        f"{HW}/aggregate/drain.py",
        'delay_line(m, slot_base, 2, name="base")[2]',
        "slot_base",
        AGGREGATE,
    ),
    Mutation(f"{HW}/aggregate/collect.py", "& queue.available", "", AGGREGATE),
    Mutation(
        f"{HW}/aggregate/engine.py",
        "self.aggregates.ready.eq(~running | final)",
        "self.aggregates.ready.eq(~running)",
        TIMING,
    ),
    Mutation(
        f"{HW}/aggregate/engine.py",
        "Cat(edge.valid & beats[1] for edge in raw)",
        "Cat(edge.valid for edge in raw)",
        AGGREGATE,
    ),
    Mutation(
        f"{HW}/transform/accumulate.py",
        "Mux(fetched.clear, 0, memory.read_data)",
        "memory.read_data",
        TRANSFORM,
    ),
    Mutation(
        f"{HW}/transform/row.py",
        "controls[c + 1].capture",
        "controls[c].capture",
        TRANSFORM,
    ),
    Mutation(
        f"{HW}/streams/fork.py",
        "(taken | taking | ~self.choose).all()",
        "(taken | taking | ~self.choose).any()",
        STREAMS,
    ),
    Mutation(
        f"{HW}/streams/gearbox.py",
        "(filled > slot).replicate",
        "(filled >= slot).replicate",
        STREAMS,
    ),
    Mutation(
        f"{HW}/streams/merge.py",
        "self.o.valid.eq(served.valid)",
        "self.o.valid.eq(1)",
        STREAMS,
    ),
    Mutation(
        f"{HW}/streams/queue.py",
        "with m.If(self.take & ~released):",
        "with m.If(self.take & released):",
        STREAMS,
    ),
    Mutation(f"{HW}/control/tokens.py", "SETTLE = 6", "SETTLE = 1", SMALLEST),
    Mutation(f"{HW}/control/gate.py", "& ~self.available", "& 0", SMALLEST),
    Mutation(
        f"{HW}/control/sequencer.py",
        "with m.If(dealt | self.fault):",
        "with m.If(dealt):",
        ("tests/system/test_transport_faults.py",),
    ),
    Mutation(
        f"{HW}/update/sharing.py",
        "sum(part.saturations for part in parts)",
        "parts[0].saturations | parts[1].saturations",
        SMALLEST,
    ),
    Mutation(
        f"{HW}/control/running.py",
        "self.hazard.eq(1)",
        "self.hazard.eq(0)",
        ("tests/system/test_transport_faults.py", "-k", "too_soon"),
    ),
    Mutation(
        f"{HW}/fabric.py",
        "self.vectors.valid & self.vectors.ready & vector.last",
        "self.vectors.valid & vector.last",
        SMALLEST,
    ),
    Mutation(f"{HW}/memory/load.py", ".as_signed() > 0", ".as_signed() >= 0", SMALLEST),
    Mutation(
        f"{HW}/memory/store.py",
        "leaving.i.p.tag.eq(word.last)",
        "leaving.i.p.tag.eq(1)",
        TALL,
    ),
    Mutation(
        f"{HW}/memory/load.py",
        "leaving.p.enable.eq(Mux(final, transfer.enable, ~0))",
        "leaving.p.enable.eq(~0)",
        ("tests/hw/test_load.py",),
    ),
    Mutation(
        f"{HW}/memory/grouped.py",
        "bank.write_enable.eq(self.write_enable[index])",
        "bank.write_enable.eq(self.write_enable.any())",
        ("tests/hw/test_grouped_memory.py",),
    ),
    Mutation(
        f"{HW}/core.py",
        "epilogue.clear.eq(self.start & ~self.keep)",
        "epilogue.clear.eq(self.start)",
        ("tests/system/test_random_programs.py", "-k", "kept"),
    ),
]
