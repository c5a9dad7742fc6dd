# SPDX-License-Identifier: Apache-2.0
"""The SDRAM controller against a part that knows its data sheet, and a plain memory."""

import random
from dataclasses import replace

import pytest
from amaranth import Module
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.sim import Simulator

from gcnloom_hw.accelerator import Accelerator
from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.controller import SdramController
from gcnloom_hw.dram.part import PARTS, SdramPart, sdram_part
from gcnloom_spec.config import AcceleratorConfig
from tests.hw.sdram_chip import DATA_SHEETS, BrokenRule, SdramChip
from tests.hw.sdram_traffic import Traffic

POWER_UP = 1000.0


def traffic(name, mhz, memory_bytes, reads, writes, seed=None, **other):
    """A run on a part whose power is stable sooner than the real one's, for the sake of time."""
    part = replace(PARTS[name], start_ns=POWER_UP)
    latency = other.pop("cas_latency", None)
    config = SdramConfig(
        part=part,
        clocks=part.clocks(mhz * 1e6, cas_latency=latency),
        memory_bytes=memory_bytes,
        **other,
    )
    chip = SdramChip(replace(DATA_SHEETS[name], power_up=POWER_UP), 1e3 / mhz)
    stalls = None if seed is None else random.Random(seed)
    return Traffic(config, chip, list(reads), list(writes), stalls)


def places(rng, count, words):
    """Neighbours, rows of one bank, rows of others: a few of each, so that they meet again."""
    return [
        rng.choice([0, 1, 2, 5]) * rng.choice([words, 4 * words]) + rng.randrange(min(words, 5))
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "mhz", "memory_bytes", "other"),
    [
        ("MT48LC16M16A2", 133, 16, {}),
        ("MT48LC16M16A2", 100, 2, {"input_delay": 2}),
        ("MT48LC16M16A2", 50, 64, {}),
        ("W9825G6", 100, 8, {"cas_latency": 3}),
        ("W9825G6", 142, 128, {}),
        ("EM638325", 166, 4, {"input_delay": 1}),
        ("EM638325", 60, 32, {}),
    ],
)
@pytest.mark.parametrize("seed", [None, 1])
def test_reads_see_all_writes_before_them(name, mhz, memory_bytes, other, seed):
    rng = random.Random(f"{name}{memory_bytes}{seed}")
    part = PARTS[name]
    words = (part.data_bits // 8 << part.column_bits) // memory_bytes
    count = max(20, min(100, 1200 // memory_bytes))
    reads = places(rng, count, words)
    writes = [
        (address, rng.getrandbits(8 * memory_bytes), rng.getrandbits(memory_bytes))
        for address in places(rng, count, words)
    ]
    run = traffic(name, mhz, memory_bytes, reads, writes, seed, **other)
    run.run()
    assert len(run.answered) == count and len(run.wrote) == count
    # What the part holds in the end is what the plain memory holds.
    stored = sum(value.bit_count() for value in run.chip.cells.values())
    assert stored == sum(word.bit_count() for word in run.memory.values())


def test_the_part_is_started_as_its_data_sheet_asks():
    name, mhz = "MT48LC16M16A2", 20
    config = SdramConfig(part=PARTS[name], clocks=PARTS[name].clocks(mhz * 1e6), memory_bytes=16)
    chip = SdramChip(DATA_SHEETS[name], 1e3 / mhz)
    run = Traffic(config, chip, [3], [(3, 99, 0xFFFF)])
    run.run()
    names = [name for _, name, _, _ in chip.log]
    assert names[:10] == ["precharge", *["refresh"] * 8, "load_mode"]
    assert chip.log[0][0] >= 100e3 / (1e3 / mhz)


@pytest.mark.parametrize(
    "field",
    ["activate", "precharge", "active", "write_recovery", "refresh", "cas_latency"],
)
def test_the_part_notices_a_controller_that_hurries(field):
    rng = random.Random(0)
    reads = places(rng, 300, 512)
    writes = [(address, 0, 3) for address in places(rng, 300, 512)]
    # 142 MHz, so that no time is a whole number of clocks with one to spare.
    run = traffic("W9825G6", 142, 2, reads, writes)
    hasty = replace(run.config.clocks, **{field: getattr(run.config.clocks, field) - 1})
    run.config = replace(run.config, clocks=hasty)
    with pytest.raises((BrokenRule, AssertionError)):
        run.run()


def test_the_part_notices_refreshes_that_are_too_seldom():
    run = traffic("EM638325", 100, 64, range(250), [])
    late = replace(run.config.clocks, interval=2 * run.config.clocks.interval + 99)
    run.config = replace(run.config, clocks=late)
    with pytest.raises(BrokenRule, match="refresh"):
        run.run()


def bytes_a_clock(run, memory_bytes, skip=20):
    """After the start, until the last answer or the last write accepted."""
    done = sorted(run.answered + run.wrote)
    return memory_bytes * (len(done) - skip - 1) / (done[-1] - done[skip])


@pytest.mark.parametrize(
    ("name", "memory_bytes"), [("MT48LC16M16A2", 16), ("MT48LC16M16A2", 2), ("EM638325", 64)]
)
@pytest.mark.parametrize("writing", [False, True])
def test_a_long_stream_takes_the_pins_but_for_refreshes_and_rows(name, memory_bytes, writing):
    count = 6000 // memory_bytes if memory_bytes < 16 else 8000 // memory_bytes
    reads = [] if writing else range(count)
    writes = [(address, address, -1 % (1 << memory_bytes)) for address in range(count)]
    run = traffic(name, 100, memory_bytes, reads, writes if writing else [])
    run.run()
    rate = bytes_a_clock(run, memory_bytes)
    clocks, width = run.config.clocks, PARTS[name].data_bits // 8
    # A refresh stops the stream for as long as its own times take, and a few clocks to turn to.
    stop = clocks.refresh + 2 * clocks.precharge + clocks.activate + clocks.active + 8
    least = width * (1 - stop / clocks.interval)
    if run.config.transfers == 1:
        # Opening a row takes the place of a transfer, and there is no time to do it ahead.
        least -= width * (clocks.activate + clocks.precharge + 2) / (1 << 9)
    print(f"{name} {memory_bytes} bytes, writing {writing}: {rate:.3f} bytes a clock")
    assert least <= rate <= width


def test_rows_of_one_bank_in_turn_cost_what_the_part_asks_for():
    run = traffic("MT48LC16M16A2", 100, 16, [256 * (n % 2) for n in range(100)], [])
    run.run()
    clocks = run.config.clocks
    # Closing after the burst, opening, reading; two clocks to see that the row has to be closed.
    most = 8 + clocks.precharge + clocks.activate + 2
    assert 16 / most <= bytes_a_clock(run, 16) <= 16 / (8 + clocks.precharge + clocks.activate)


def test_rows_of_different_banks_in_turn_cost_nothing():
    run = traffic("MT48LC16M16A2", 100, 16, [64 * (n % 4) for n in range(200)], [])
    run.run()
    assert bytes_a_clock(run, 16) >= 1.95


@pytest.mark.parametrize(("memory_bytes", "input_delay"), [(2, 0), (16, 1), (64, 0)])
def test_a_read_of_an_open_row_takes_as_long_as_is_said(memory_bytes, input_delay):
    run = traffic("MT48LC16M16A2", 100, memory_bytes, [], [], input_delay=input_delay)
    undisturbed = replace(run.config, clocks=replace(run.config.clocks, interval=9999))
    controller = SdramController(undisturbed)
    addresses, answers = controller.addresses, controller.answers
    waits = []

    async def bench(ctx):
        ctx.set(answers.ready, 1)
        # The first one opens the row.
        for address in range(3):
            await ctx.tick().repeat(300)
            ctx.set(addresses.valid, 1)
            ctx.set(addresses.payload, address)
            await ctx.tick().until(addresses.ready)
            ctx.set(addresses.valid, 0)
            waits.append(1)
            while not ctx.get(answers.valid):
                await ctx.tick()
                waits[-1] += 1

    simulator = Simulator(controller)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    least = 7 + run.config.clocks.cas_latency + run.config.transfers - 1 + input_delay
    assert waits[1:] == [least, least]


def test_an_accelerator_connects_to_it():
    config = AcceleratorConfig.from_toml("smallest")
    part = PARTS["MT48LC16M16A2"]
    m = Module()
    m.submodules.accelerator = accelerator = Accelerator(config)
    m.submodules.memory = memory = SdramController(
        SdramConfig(part=part, clocks=part.clocks(100e6), memory_bytes=config.memory_bytes)
    )
    for name in ("addresses", "answers", "writes"):
        ours, theirs = getattr(accelerator, name), getattr(memory, name)
        wiring.connect(m, accelerator=ours, memory=theirs)
        assert ours.payload.shape() == theirs.payload.shape()
    rtlil.convert(m, ports=[memory.pins.dq_i, memory.pins.dq_o, memory.pins.a], emit_src=False)


def test_a_part_comes_from_a_table_or_by_name():
    table = {field: getattr(PARTS["W9825G6"], field) for field in SdramPart.__dataclass_fields__}
    assert sdram_part(table) == sdram_part("W9825G6") == PARTS["W9825G6"]
    assert sdram_part("W9825G6").capacity == 32 << 20
    assert sdram_part("EM638325").capacity == 8 << 20
    with pytest.raises(ValueError, match="unknown SDRAM 'W98'; use one of"):
        sdram_part("W98")
    with pytest.raises(ValueError, match="unknown field 'speed'"):
        sdram_part(table | {"speed": 6})
    with pytest.raises(ValueError, match="missing"):
        sdram_part({"name": "half"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"banks": 8}, "banks=8 is not what"),
        ({"data_bits": 24}, "data_bits=24 is not"),
        ({"activate_ns": -1.0}, "activate_ns=-1.0 is no time"),
        ({"row_bits": 0}, "row_bits=0 is too few"),
    ],
)
def test_an_impossible_part_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PARTS["W9825G6"], **change)


def test_an_impossible_clock_or_word_is_refused():
    part = PARTS["MT48LC16M16A2"]
    with pytest.raises(ValueError, match=r"does not run at 200 MHz; try 133.333 MHz or less"):
        part.clocks(200e6)
    with pytest.raises(ValueError, match="cas_latency=2 is not one of"):
        part.clocks(133e6, cas_latency=2)
    with pytest.raises(ValueError, match="no clock in hertz"):
        part.clocks(0)
    clocks = part.clocks(100e6)
    for memory_bytes in (1, 24, 1024):
        with pytest.raises(ValueError, match=f"memory_bytes={memory_bytes} is"):
            SdramConfig(part=part, clocks=clocks, memory_bytes=memory_bytes)
    with pytest.raises(ValueError, match="input_delay=-1 is negative"):
        SdramConfig(part=part, clocks=clocks, memory_bytes=16, input_delay=-1)
    with pytest.raises(ValueError, match="are over before a refresh is"):
        SdramConfig(part=part, clocks=replace(clocks, interval=30), memory_bytes=16)
    with pytest.raises(ValueError, match="activate=0 clocks are too few"):
        replace(clocks, activate=0)


def test_times_are_counted_in_whole_clocks():
    part = PARTS["MT48LC16M16A2"]
    slow, fast = part.clocks(100e6), part.clocks(133e6)
    assert (slow.cas_latency, fast.cas_latency) == (2, 3)
    assert (slow.activate, slow.precharge, slow.active, slow.refresh) == (2, 2, 5, 7)
    # tRAS alone would be six clocks of 7.52 ns, tRC nine of which three are tRP.
    assert (fast.activate, fast.precharge, fast.active, fast.refresh) == (3, 3, 6, 9)
    assert (slow.interval, fast.interval, slow.start) == (781, 1039, 10_000)
