# SPDX-License-Identifier: Apache-2.0
"""The epilogue against the emission's definition, written out with the contract's arithmetic."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from amaranth.back import verilog

from gcnloom_hw.epilogue.epilogue import Epilogue
from gcnloom_spec.commands import Emission
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.number import envelope, requantise
from gcnloom_spec.random import DROPOUT, ROUNDING, draw
from tests.hw.tb_epilogue import SEED, SHIFTS, STEP, Bench, Command, Outcome

MASKS = 64
CONFIGS = {
    "smallest": AcceleratorConfig(
        pes=1, lanes=1, rows=1, columns=1, memory_bytes=4, mask_depth=MASKS, master_width=16
    ),
    "odd": AcceleratorConfig(pes=2, lanes=3, rows=3, columns=3, sum_width=36, mask_depth=MASKS),
    "short": AcceleratorConfig(
        pes=2, lanes=4, rows=4, columns=4, operand_width=4, mask_depth=MASKS, fabric_depth=4
    ),
    "wide": AcceleratorConfig(
        pes=1,
        lanes=2,
        rows=2,
        columns=2,
        operand_width=16,
        sum_width=48,
        mask_depth=MASKS,
        master_width=24,
    ),
    "sliced": AcceleratorConfig(
        pes=1, lanes=4, rows=4, columns=4, mask_depth=MASKS, master_width=16, epilogue_lanes=1
    ),
    "thirds": AcceleratorConfig(
        pes=1, lanes=6, rows=6, columns=6, mask_depth=MASKS, epilogue_lanes=2
    ),
    "halves": AcceleratorConfig(
        pes=1, lanes=16, rows=4, columns=16, mask_depth=MASKS, epilogue_lanes=8
    ),
    "twelve": AcceleratorConfig(pes=1, lanes=12, rows=12, columns=12, mask_depth=MASKS),
}


def expected(config, commands, masks):
    """Beats and statistics by the definition's loop."""
    outcome = Outcome()
    for command in commands:
        if len(command.sums):
            emission = command.emission
            gated, noise = gate(config, emission, command.sums, masks)
            results, clipped = gated, 0
            if not emission.raw:
                shift = SHIFTS[emission.tensor] if emission.scaled else emission.shift
                results, clipped = requantise(gated, shift, config.operand_width, noise)
            old = outcome.statistics.get(emission.tensor, (0, 0))
            outcome.statistics[emission.tensor] = (old[0] | envelope(gated), old[1] + clipped)
            outcome.saturated += clipped
            outcome.beats += beats(command, results)
        else:
            outcome.beats.append({"emit": 0, "last": 1, "signals": command.signals})
    return outcome


def gate(config, emission, sums, masks):
    """Sums that were let through, and their rounding bytes if they are rounded stochastically."""
    octets = [
        draw(
            seed=SEED,
            step=STEP,
            tensor=emission.tensor,
            purpose=purpose,
            rows=emission.row + np.arange(len(sums)),
            feature=emission.feature,
            count=config.lanes,
        )
        for purpose in (DROPOUT, ROUNDING)
    ]
    keep = np.ones(sums.shape, dtype=bool)
    if emission.relu:
        keep &= sums >= 0
    if emission.mask:
        keep &= masks[emission.mask_base : emission.mask_base + len(sums)]
    if emission.dropout:
        keep &= octets[DROPOUT] >= emission.threshold
    return np.where(keep, sums, 0), octets[ROUNDING] if emission.stochastic else None


def beats(command, results):
    """What the router gets to see of a command."""
    emission, last = command.emission, len(results) - 1
    return [
        {
            "emit": 1,
            "last": int(index == last),
            "data": row,
            "raw": emission.raw,
            "signals": command.signals if index == last else 0,
            "store": emission.store,
            "step": emission.step,
            "destination": emission.destination,
            "bank": emission.destination_bank,
            "address": emission.destination_base + index,
        }
        for index, row in enumerate(results.tolist())
    ]


def random_commands(config, rng, count):
    """Emissions of every kind, with sums of every magnitude."""
    commands = []
    for _ in range(count):
        vectors = int(rng.choice([0, 1, 2, 7, 12]))
        bits = rng.integers(0, config.sum_width - 1, (vectors, config.lanes))
        wide = rng.integers(-(1 << (config.sum_width - 1)), 1 << (config.sum_width - 1), bits.shape)
        flags = {
            name: int(rng.integers(2))
            for name in ("raw", "stochastic", "relu", "mask", "dropout", "store", "step")
        }
        flags["scaled"] = int(rng.integers(2)) if config.master_width else 0
        emission = Emission(
            vectors=vectors,
            shift=int(rng.integers(0, config.sum_width)),
            mask_base=int(rng.integers(0, MASKS - vectors + 1)),
            threshold=int(rng.choice([1, 128, 255])),
            tensor=int(rng.choice(list(SHIFTS))),
            row=int(rng.choice([0, 77, 0xFFFFFFF0])),
            feature=int(rng.integers(0, 60)) * config.lanes,
            destination=int(rng.integers(4)),
            destination_base=int(rng.integers(1000)),
            destination_bank=int(rng.integers(16)),
            **flags,
        )
        commands.append(Command(emission, wide >> bits, int(rng.integers(16))))
    return commands


def nonzero(statistics):
    return {tensor: figures for tensor, figures in statistics.items() if any(figures)}


def random_masks(config, rng):
    return rng.integers(0, 2, (MASKS, config.lanes)).astype(bool)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_vectors_and_statistics_equal_the_definition(name, stall):
    config, rng = CONFIGS[name], np.random.default_rng(21)
    masks = random_masks(config, rng)
    commands = random_commands(config, rng, 40)
    outcome = Bench(config, commands, masks, stall=stall, seed=22).run()
    truth = expected(config, commands, masks)
    assert outcome.beats == truth.beats
    assert outcome.statistics == nonzero(truth.statistics)
    assert outcome.saturated == truth.saturated > 0


@pytest.mark.parametrize(("stochastic", "dropout"), [(0, 0), (1, 0), (0, 1)])
def test_a_vector_leaves_each_cycle_and_three_cycles_lie_between_emissions(stochastic, dropout):
    config, rng = CONFIGS["short"], np.random.default_rng(23)
    sums = rng.integers(-1000, 1000, (40, config.lanes))
    emission = Emission(vectors=40, shift=5, stochastic=stochastic, dropout=dropout)
    commands = [Command(emission, sums)] * 4
    cycles = Bench(config, commands, random_masks(config, rng)).run().cycles
    steps = np.diff(cycles)
    assert np.flatnonzero(steps != 1).tolist() == [39, 79, 119]
    assert set(steps[39::40].tolist()) == {4}


def test_a_vector_that_needs_bytes_of_both_purposes_leaves_every_other_cycle():
    config, rng = CONFIGS["short"], np.random.default_rng(27)
    sums = rng.integers(-1000, 1000, (40, config.lanes))
    command = Command(Emission(vectors=40, shift=5, stochastic=1, dropout=1), sums)
    cycles = Bench(config, [command], random_masks(config, rng)).run().cycles
    assert set(np.diff(cycles).tolist()) == {2}


@pytest.mark.parametrize("name", ["smallest", "odd"])
def test_without_draws_nothing_is_dropped_and_all_is_rounded_to_the_nearest(name):
    config = replace(CONFIGS[name], without_draws=1)
    rng = np.random.default_rng(28)
    masks = random_masks(config, rng)
    commands = random_commands(config, rng, 40)
    plain = [
        replace(command, emission=replace(command.emission, dropout=0, stochastic=0))
        for command in commands
    ]
    outcome, truth = Bench(config, commands, masks).run(), expected(config, plain, masks)
    assert outcome.beats == truth.beats
    assert outcome.statistics == nonzero(truth.statistics)


def test_short_emissions_one_after_the_other_all_reach_the_statistics():
    config, rng = CONFIGS["short"], np.random.default_rng(24)
    commands = [
        Command(Emission(vectors=1, tensor=9), np.full((1, config.lanes), 1 << (index % 20)))
        for index in range(40)
    ]
    masks = random_masks(config, rng)
    truth = expected(config, commands, masks)
    assert Bench(config, commands, masks).run().statistics == truth.statistics


def test_reading_one_tensor_never_shows_another_that_is_being_merged():
    config, rng = CONFIGS["short"], np.random.default_rng(26)
    commands = [
        Command(Emission(vectors=1, tensor=tensor), np.full((1, config.lanes), 3 + tensor))
        for tensor in [5] + [9] * 20
    ]
    bench = Bench(config, commands, random_masks(config, rng), statistic=5)
    bench.run()
    assert bench.outcome.envelopes == {0, 8}


def test_emissions_wait_while_the_statistics_are_cleared():
    config, rng = CONFIGS["short"], np.random.default_rng(25)
    masks = random_masks(config, rng)
    sums = np.full((3, config.lanes), 100)
    command = Command(Emission(vectors=3, tensor=63), sums)
    bench = Bench(config, [command], masks)
    truth = expected(config, [command, replace(command, sums=sums >> 1)], masks)

    async def again(ctx):
        ctx.set(bench.dut.clear, 1)
        await ctx.tick()
        ctx.set(bench.dut.clear, 0)
        bench.commands = [replace(command, sums=sums >> 1)]
        ctx.set(bench.dut.emissions.valid, 1)
        ctx.set(bench.dut.emissions.payload, asdict(command.emission))
        await ctx.tick().until(bench.dut.emissions.ready)
        ctx.set(bench.dut.emissions.valid, 0)
        await bench.sum(ctx)
        await ctx.tick().until(bench.dut.idle)
        await bench.read_statistics(ctx)

    bench.after = again
    assert bench.run().statistics == {63: (50, 12)}
    assert truth.statistics[63] == (100 | 50, 24)


@pytest.mark.parametrize("name", ["smallest", "odd"])
def test_the_component_becomes_verilog(name):
    assert "module top" in verilog.convert(Epilogue(CONFIGS[name]), name="top", emit_src=False)
