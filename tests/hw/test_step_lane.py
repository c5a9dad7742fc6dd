# SPDX-License-Identifier: Apache-2.0
"""One lane of the weight step, and its parts, against the contract's definitions."""

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator

from gcnloom_hw.update.lane import CONTROLS, StepLane
from gcnloom_hw.update.ring import Ring
from gcnloom_hw.update.rounded import Rounded
from gcnloom_hw.update.scaled import Scaled
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.descent import Coefficient, scaled, step
from gcnloom_spec.number import limits, requantise
from tests.hw.step_bench import anywhere


def follow(dut, inputs, outputs, cases):
    """Outputs for one case a cycle; `inputs` and `outputs` are of (name, age)."""
    results = [{} for _ in cases]
    oldest = max(age for _, age in (*inputs, *outputs))

    async def bench(ctx):
        for cycle in range(len(cases) + oldest):
            for name, age in inputs:
                if 0 <= cycle - age < len(cases):
                    ctx.set(getattr(dut, name), int(cases[cycle - age][name]))
            for name, age in outputs:
                if 0 <= cycle - age < len(cases):
                    results[cycle - age][name] = ctx.get(getattr(dut, name))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def near_limits(width, result_width, shift):
    """Values whose scaled ones are next to the limits of a result, or to zero."""
    low, high = limits(width)
    points = [low, high, 0]
    for edge in limits(result_width):
        points.append(edge << (shift - 16) if shift >= 16 else edge >> (16 - shift))
    near = {point + offset for point in points for offset in (-1, 0, 1)}
    return sorted(point for point in near if low <= point <= high)


@pytest.mark.parametrize(("width", "result_width"), [(32, 26), (24, 26), (48, 42), (36, 34)])
def test_a_term_is_scaled_as_defined_at_every_shift(width, result_width):
    rng = np.random.default_rng(1)
    cases = [
        {"value": value, "shift": shift}
        for shift in range(64)
        for value in (*near_limits(width, result_width, shift), *anywhere(rng, width, 4))
    ]
    dut = Scaled(width=width, result_width=result_width)
    results = follow(dut, [("value", 0), ("shift", 0)], [("result", dut.latency)], cases)
    for case, result in zip(cases, results, strict=True):
        value = scaled(np.array([case["value"]]), case["shift"], result_width)
        assert result["result"] == value[0], case


def test_a_total_is_rounded_as_defined_also_at_the_limits():
    rng = np.random.default_rng(2)
    totals = [edge + near for edge in (*limits(28), 0, *(x << 8 for x in limits(16)))
              for near in range(-300, 301, 2)]  # fmt: skip
    totals += anywhere(rng, 28, 300).tolist()
    cases = [
        {"total": total, "stochastic": int(rng.integers(2)), "noise": int(rng.integers(256))}
        for total in totals
        if -(1 << 27) <= total < 1 << 27
    ]
    dut = Rounded(width=28, result_width=16)
    outputs = [("result", dut.latency), ("clipped", dut.latency)]
    results = follow(dut, [(name, 0) for name in cases[0]], outputs, cases)
    for case, result in zip(cases, results, strict=True):
        noise = np.array([case["noise"]]) if case["stochastic"] else None
        value, clipped = requantise(np.array([case["total"]]), 8, 16, noise)
        assert result == {"result": value[0], "clipped": clipped}, case


@pytest.mark.parametrize("cycles", [2, 7, 16])
def test_a_ring_gives_what_it_got_so_many_cycles_ago(cycles):
    m = Module()
    m.submodules.ring = ring = Ring(7, cycles=cycles)
    counter = Signal(7)
    m.d.sync += counter.eq(counter + 1)
    m.d.comb += ring.i.eq(counter)

    async def bench(ctx):
        await ctx.tick().repeat(cycles)
        for cycle in range(200):
            assert ctx.get(ring.o) == cycle % 128
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def random_step(config, rng):
    """Everything that a lane gets for one weight."""
    one = {name: int(rng.integers(1 << width)) for name, (width, _) in CONTROLS.items()}
    for name, low, high in (
        ("sum_shift", 10, 40), ("decay_shift", 14, 32), ("rate_shift", 12, 32),
    ):  # fmt: skip
        if rng.random() < 0.8:
            one[name] = int(rng.integers(low, high))
    one["stochastic_weight"] = one["stochastic"]
    for name, width in (
        ("weight", config.master_width),
        ("momentum", config.master_width),
        ("sum", config.sum_width),
    ):
        one[name] = int(anywhere(rng, width, 1)[0])
    one["momentum_noise"], one["weight_noise"] = map(int, rng.integers(256, size=2))
    return one


@pytest.mark.parametrize("name", ["demo", "odd", "tall", "wide"])
def test_a_lane_steps_a_weight_every_cycle_as_defined(name):
    config = AcceleratorConfig.from_toml(name)
    rng = np.random.default_rng(5)
    cases = [random_step(config, rng) for _ in range(1500)]
    dut = StepLane(config)
    inputs = [(name, CONTROLS.get(name, (0, 0))[1]) for name in cases[0]]
    outputs = {
        "new_weight": dut.stepped,
        "new_momentum": dut.stepped,
        "clipped_weight": dut.stepped,
        "clipped_momentum": dut.stepped,
        "operand": dut.latency,
        "clipped_operand": dut.latency,
    }
    results = follow(dut, inputs, list(outputs.items()), cases)
    clips = 0
    for case, result in zip(cases, results, strict=True):
        assert_stepped(config, case, result)
        clips += result["clipped_weight"] + result["clipped_momentum"]
    assert 0 < clips < len(cases)


def assert_stepped(config, case, result):
    noise = np.array([case["momentum_noise"]]), np.array([case["weight_noise"]])
    stepped = step(
        np.array([case["weight"]]),
        np.array([case["momentum"]]),
        np.array([case["sum"]]),
        shift=case["sum_shift"],
        momentum=case["momentum_factor"],
        decay=Coefficient(case["decay"], case["decay_shift"]),
        rate=Coefficient(case["rate"], case["rate_shift"]),
        width=config.master_width,
        noise=noise if case["stochastic"] else None,
    )
    operand, clipped = requantise(stepped.weights, case["operand_shift"], config.operand_width)
    assert result["new_weight"] == stepped.weights[0], case
    assert result["new_momentum"] == stepped.momenta[0], case
    assert result["clipped_weight"] + result["clipped_momentum"] == stepped.clipped, case
    assert (result["operand"], result["clipped_operand"]) == (operand[0], clipped), case
