# SPDX-License-Identifier: Apache-2.0
"""Loops of programs in gateware go where the host's sequencer and a plain walk over them go."""

import random
from dataclasses import asdict, replace

import pytest
from amaranth.sim import Simulator

from gcnloom.programs.repeating import Sequencer
from gcnloom_hw.control.repeats import Repeats
from gcnloom_spec.commands import Repeat
from gcnloom_spec.isa import LOOPS

BASE = 0x1000
LIMIT = 300


def by_gateware(programs, *, worse=(), finish_at=None):
    """Run programs, a repeat by its place, from place 0 on; return places and the last step.

    `worse` is what the device has judged by each repeat, `finish_at` the repeat from which on
    it is asked to finish.
    """
    dut, places = Repeats(), []
    steps = [0]

    async def process(ctx):
        ctx.set(dut.base, BASE)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        place = 0
        while place is not None and len(places) < LIMIT:
            places.append(place)
            ctx.set(dut.repeats.payload, asdict(programs[place]))
            ctx.set(dut.repeats.valid, 1)
            at = len(places) - 1
            ctx.set(dut.worse, worse[at] if worse else 0)
            ctx.set(dut.finish, finish_at is not None and at >= finish_at)
            place = await take(ctx)
            ctx.set(dut.repeats.valid, 0)
            await ctx.tick().repeat(3)
            assert not ctx.get(dut.go)

    async def take(ctx):
        for _ in range(5):
            # Nothing is decided before everything is quiet.
            assert not ctx.get(dut.repeats.ready | dut.advance | dut.go)
            await ctx.tick()
        ctx.set(dut.quiet, 1)
        for _ in range(3):
            assert not ctx.get(dut.repeats.ready | dut.go)
            steps[0] += ctx.get(dut.advance)
            await ctx.tick()
            ctx.set(dut.quiet, 0)
        assert ctx.get(dut.repeats.ready)
        go, address = ctx.get(dut.go), ctx.get(dut.program.address)
        assert go == bool(ctx.get(dut.program.count))
        await ctx.tick()
        return (address - BASE) if go else None

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()
    return places, steps[0]


def by_model(programs, *, worse=(), finish_at=None):
    sequencer, places = Sequencer(step=0, count=1), []
    while sequencer.count and len(places) < LIMIT:
        at = len(places)
        places.append(sequencer.offset)
        sequencer.follow(
            programs[sequencer.offset], worse=worse[at] if worse else 0,
            finish=finish_at is not None and at >= finish_at,
        )  # fmt: skip
    return places, sequencer.step


def chain(*repeats):
    """Programs at words 0, 8, 16...; targets are numbers of programs."""
    programs = {}
    for number, repeat in enumerate(repeats):
        following = 8 * (number + 1) if number + 1 < len(repeats) else 0
        programs[8 * number] = replace(
            repeat, target=8 * repeat.target, target_count=5, following=following,
            following_count=3 if following else 0,
        )  # fmt: skip
    return programs


def both(programs, **conditions):
    found = by_gateware(programs, **conditions)
    assert found == by_model(programs, **conditions)
    places, steps = found
    assert len(places) < LIMIT
    return [place // 8 for place in places], steps


ONCE = Repeat(loop=3)
NESTED = chain(
    ONCE,
    Repeat(passes=2, loop=0, target=1, advance=1),
    ONCE,
    Repeat(passes=3, loop=1, target=1, patience=2),
    Repeat(passes=2, loop=0, target=4, advance=1),
)


def test_loops_nest_and_are_counted_anew_each_time():
    assert both(NESTED) == ([0, *3 * [1, 1, 2, 3], 4, 4], 8)


def test_a_run_ends_where_patience_does():
    assert both(NESTED, worse=[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]) == (
        [0, *2 * [1, 1, 2, 3]],
        4,
    )


@pytest.mark.parametrize("asked", range(9))
def test_a_run_that_is_to_finish_ends_where_its_step_next_advances(asked):
    places = [0, *3 * [1, 1, 2, 3], 4, 4]
    last = next(at for at in range(asked, len(places)) if places[at] in (1, 4))
    expected = places[: last + 1]
    assert both(NESTED, finish_at=asked) == (
        expected,
        sum(place in (1, 4) for place in expected),
    )


def test_a_start_forgets_the_passes_of_a_run_that_was_ended():
    """A run is ended within a loop; the next one has all of its passes."""
    dut = Repeats()
    repeat = Repeat(passes=3, loop=2, target_count=4)

    async def process(ctx):
        for _ in range(2):
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.repeats.payload, asdict(repeat))
            ctx.set(dut.repeats.valid, 1)
            ctx.set(dut.quiet, 1)
            for _ in range(2):
                while not ctx.get(dut.repeats.ready):
                    await ctx.tick()
                assert ctx.get(dut.go)
                await ctx.tick()
            ctx.set(dut.repeats.valid, 0)
            ctx.set(dut.quiet, 0)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_take_the_models_way(seed):
    rng = random.Random(seed)
    repeats = [
        Repeat(
            passes=rng.choice([1, 2, 3, 1 << 23]) if loop < LOOPS - 1 else 1, loop=loop,
            target=rng.randint(0, number), advance=rng.randint(0, 1),
            patience=rng.choice([0, 0, 1, 3]),
        )
        for number, loop in enumerate(rng.choices(range(LOOPS), k=6))
    ]  # fmt: skip
    worse = [rng.choice([0, 0, 0, 0, 1, 2, 3]) for _ in range(LIMIT)]
    programs, finish = chain(*repeats), rng.randint(0, 60)
    found = by_gateware(programs, worse=worse, finish_at=finish)
    assert found == by_model(programs, worse=worse, finish_at=finish)
