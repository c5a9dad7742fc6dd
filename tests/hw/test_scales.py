# SPDX-License-Identifier: Apache-2.0
"""Scales in gateware are those of the definition, beside statistics that merge and lookups."""

import numpy as np
import pytest
from amaranth import Module
from amaranth.sim import Simulator

from gcnloom_hw.epilogue.statistics import Statistics
from gcnloom_hw.update.scales import READ, Scales
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import WORDS, Opcode, Rule
from gcnloom_spec.registers import MOST_SHIFT

TENSORS = 6
"""So few that commands meet each other."""
LATENCY = 14
"""Of a FIT that follows another command, whose write settles first."""


EXPONENTS = 1 << -WORDS[Opcode.SCALE].fields["exponent"]
"""Exponents that there are; further ones wrap."""


def wrapped(exponent):
    return (exponent + EXPONENTS // 2) % EXPONENTS - EXPONENTS // 2


def fitted(entry, peak, sums, width):
    """A scale, as (exponent, wanted, shift), after a FIT: by the sentences of the command set."""
    exponent, wanted, shift = entry
    if peak:
        # The most bits that two's complement needs, beyond those that operands have.
        bits = len(f"{peak:b}") + 1
        wanted = wrapped(exponent - shift + (bits - width if bits > width else 0))
    shift = sorted((0, wanted - sums, MOST_SHIFT))[1]
    return wrapped(sums + shift), wanted, shift


class Definition:
    """Scales and envelopes as dictionaries; written down anew, apart from the model's."""

    def __init__(self, width):
        self.width = width
        self.scales = dict.fromkeys(range(TENSORS), (0, 0, 0))
        self.envelopes = dict.fromkeys(range(TENSORS), 0)

    def execute(self, command):
        tensor = command["tensor"]
        if command["rule"] == Rule.SET:
            self.scales[tensor] = command["exponent"], command["wanted"], 0
        elif command["rule"] == Rule.SAME:
            self.scales[tensor] = self.scales[command["left"]]
        else:
            sums = self.scales[command["left"]][0] + self.scales[command["right"]][0]
            peak, self.envelopes[tensor] = self.envelopes[tensor], 0
            self.scales[tensor] = fitted(self.scales[tensor], peak, sums, self.width)


def random_command(rng):
    rule = Rule(int(rng.choice(3, p=[0.5, 0.1, 0.4])))
    far = EXPONENTS // 2 if rng.random() < 0.1 else 25
    exponent, wanted = (int(each) for each in rng.integers(-far, far, 2))
    tensor, left, right = rng.integers(0, TENSORS, 3).tolist()
    command = {"tensor": tensor, "left": left, "right": right, "exponent": exponent}
    return {**command, "rule": rule, "wanted": wanted, "signals": int(rng.integers(1, 64))}


class Bench:
    """Scales with the statistics that they read; one register lies on the way, as in the core."""

    def __init__(self, config):
        self.scales, self.statistics = Scales(config), Statistics(config)
        self.top = m = Module()
        m.submodules.scales, m.submodules.statistics = self.scales, self.statistics
        m.d.sync += [
            self.statistics.statistic.eq(self.scales.chosen),
            self.scales.envelope.eq(self.statistics.read_envelope),
        ]
        # What is forgotten is still chosen in the cycle after.
        m.d.comb += self.statistics.forget.eq(self.scales.forget)

    def run(self, process):
        simulator = Simulator(self.top)
        simulator.add_clock(1e-6)
        simulator.add_testbench(process)
        simulator.run()

    async def merge(self, ctx, tensor, envelope):
        """Let an emission of one vector end."""
        for name, value in (("tensor", tensor), ("envelope", envelope), ("last", 1), ("valid", 1)):
            ctx.set(getattr(self.statistics, name), value)
        await ctx.tick()
        ctx.set(self.statistics.valid, 0)
        while ctx.get(self.statistics.busy):
            await ctx.tick()

    async def execute(self, ctx, command):
        """Execute a command; return how many cycles it took and what was written."""
        commands = self.scales.commands
        ctx.set(commands.payload, command)
        ctx.set(commands.valid, 1)
        taken, cycle = 0, 0
        while not taken:
            taken, signals = ctx.get(commands.ready), ctx.get(self.scales.signals)
            assert bool(signals) == bool(taken)
            assert not ctx.get(self.scales.idle)
            await ctx.tick()
            cycle += 1
        ctx.set(commands.valid, 0)
        assert signals == command["signals"]
        written = self.scales.written
        assert ctx.get(written.enable)
        return cycle, (ctx.get(written.tensor), ctx.get(written.shift))

    async def entry(self, ctx, tensor):
        ctx.set(self.scales.statistic, tensor)
        await ctx.tick().repeat(READ + 2)
        entry = self.scales.entry
        return ctx.get(entry.exponent), ctx.get(entry.wanted), ctx.get(entry.shift)

    async def look_up(self, ctx, tensors):
        lookups = self.scales.lookups
        ctx.set(lookups.payload, tensors)
        ctx.set(lookups.valid, 1)
        while not ctx.get(lookups.ready):
            await ctx.tick()
        shifts = ctx.get(self.scales.shift0), ctx.get(self.scales.shift1)
        await ctx.tick()
        ctx.set(lookups.valid, 0)
        return shifts


@pytest.mark.parametrize("name", ["smallest", "odd", "short", "wide"])
def test_random_scales_equal_the_definition(name):
    config = AcceleratorConfig.from_toml(name)
    rng = np.random.default_rng(len(name))
    bench, truth = Bench(config), Definition(config.operand_width)
    shifts = set()

    async def process(ctx):
        for _ in range(150):
            if rng.random() < 0.5:
                tensor = int(rng.integers(TENSORS))
                peak = int(rng.integers(1 << (config.sum_width - 1)))
                peak >>= int(rng.integers(config.sum_width))
                truth.envelopes[tensor] |= peak
                await bench.merge(ctx, tensor, peak)
            command = random_command(rng)
            truth.execute(command)
            cycles, written = await bench.execute(ctx, command)
            assert cycles <= LATENCY
            assert written == (command["tensor"], truth.scales[command["tensor"]][2])
            shifts.add(written[1])
            if rng.random() < 0.3:
                pair = rng.integers(0, TENSORS, 2).tolist()
                assert await bench.look_up(ctx, pair) == tuple(truth.scales[t][2] for t in pair)
            if rng.random() < 0.2:
                tensor = int(rng.integers(TENSORS))
                assert await bench.entry(ctx, tensor) == truth.scales[tensor]
        for tensor in range(TENSORS):
            assert await bench.entry(ctx, tensor) == truth.scales[tensor]
            assert ctx.get(bench.statistics.read_envelope) == truth.envelopes[tensor]
        assert ctx.get(bench.scales.idle)

    bench.run(process)
    assert len(shifts) > 10


@pytest.mark.parametrize(
    ("wanted", "shift"), [(-500, 0), (40, 0), (41, 1), (102, 62), (103, 63), (104, 63), (900, 63)]
)
def test_shifts_stop_at_both_ends_and_the_exponent_says_what_was_done(wanted, shift):
    bench = Bench(AcceleratorConfig.from_toml("smallest"))

    async def process(ctx):
        for tensor, exponent in ((1, -60), (2, 100)):
            await bench.execute(
                ctx, {"rule": Rule.SET, "tensor": tensor, "exponent": exponent, "signals": 1}
            )
        await bench.execute(ctx, {"rule": Rule.SET, "tensor": 3, "wanted": wanted, "signals": 1})
        fit = {"rule": Rule.FIT, "tensor": 3, "left": 1, "right": 2, "signals": 1}
        cycles, written = await bench.execute(ctx, fit)
        assert cycles == LATENCY
        assert written == (3, shift)
        assert await bench.entry(ctx, 3) == (40 + shift, wanted, shift)

    bench.run(process)


def test_a_fit_forgets_the_envelope_and_keeps_the_clipped():
    bench = Bench(AcceleratorConfig.from_toml("odd"))

    async def process(ctx):
        ctx.set(bench.statistics.saturations, 3)
        await bench.merge(ctx, 4, 0b1011)
        await bench.merge(ctx, 5, 0b110)
        await bench.execute(ctx, {"rule": Rule.FIT, "tensor": 4, "signals": 1})
        for tensor, envelope in ((4, 0), (5, 0b110)):
            await bench.entry(ctx, tensor)
            assert ctx.get(bench.statistics.read_envelope) == envelope
            assert ctx.get(bench.statistics.read_saturations) == 3

    bench.run(process)
