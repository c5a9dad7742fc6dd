# SPDX-License-Identifier: Apache-2.0
"""The AXI4 adapter against a memory that checks the protocol, and a plain memory."""

import json
import random
import subprocess
import sys
from collections import deque

import pytest
from amaranth.sim import Simulator

from gcnloom_hw.generate import manifest, verilog_text
from gcnloom_hw.memory.axi import Axi4Adapter, Axi4Config
from gcnloom_spec.config import AcceleratorConfig
from tests.hw.axi_memory import AxiMemory

BYTES = 4


class Run:
    """Reads and writes through an adapter.

    A read must see all that was written before it was accepted, and may see what is written
    before its answer.
    """

    def __init__(self, reads, writes, seed=None, *, first="", base=0, fails=None, late=0):
        self.rng = random.Random(seed)
        self.stalls = seed is not None
        self.adapter = Axi4Adapter(Axi4Config(memory_bytes=BYTES, base=base))
        self.bus = AxiMemory(BYTES, self.stall, first=first, latency=3 + late, fails=fails)
        self.reads, self.writes = deque(reads), deque(writes)
        self.memory, self.waiting, self.answered = {}, deque(), []
        self.error, self.clocks = 0, 0

    def stall(self):
        return self.stalls and self.rng.random() < 0.4

    def run(self):
        simulator = Simulator(self.adapter)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self.bench)
        simulator.run()
        return self

    def asked(self):
        address = self.reads.popleft()
        self.waiting.append((address, {self.memory.get(address, 0)}))

    def wrote(self):
        address, word, mask = self.writes.popleft()
        kept = sum(0xFF << 8 * lane for lane in range(BYTES) if mask >> lane & 1)
        self.memory[address] = (self.memory.get(address, 0) & ~kept) | (word & kept)
        for place, allowed in self.waiting:
            if place == address:
                allowed.add(self.memory[address])

    def answer(self, data):
        address, allowed = self.waiting.popleft()
        assert data in allowed, f"word {address} is {data:x}, not one of {allowed}"
        self.answered.append(self.clocks)

    async def bench(self, ctx):
        adapter, bus = self.adapter, self.adapter.m_axi
        members = bus.signature.members.items()
        outputs = [name for name, member in members if member.flow.name == "Out"]
        reads, writes, answers = adapter.addresses, adapter.writes, adapter.answers
        reading = writing = False
        for clock in range(20_000):
            reading = reading or bool(self.reads and not self.stall())
            writing = writing or bool(self.writes and not self.stall())
            if reading:
                ctx.set(reads.payload, self.reads[0])
            if writing:
                ctx.set(
                    writes.payload,
                    dict(zip(("address", "data", "mask"), self.writes[0], strict=True)),
                )
            ctx.set(reads.valid, reading)
            ctx.set(writes.valid, writing)
            ctx.set(answers.ready, not self.stall())
            (
                _,
                _,
                take_read,
                take_write,
                valid,
                ready,
                data,
                idle,
                error,
                *values,
            ) = await ctx.tick().sample(
                reads.ready,
                writes.ready,
                answers.valid,
                answers.ready,
                answers.payload,
                adapter.idle,
                adapter.error,
                *(getattr(bus, name) for name in outputs),
            )
            self.clocks, self.error = clock, error
            if reading and take_read:
                self.asked()
                reading = False
            if writing and take_write:
                self.wrote()
                writing = False
            if valid and ready:
                self.answer(data)
            for name, value in self.bus.step(dict(zip(outputs, values, strict=True))).items():
                ctx.set(getattr(bus, name), value)
            if not (self.reads or self.writes or self.waiting) and idle and not writing:
                return
        raise AssertionError(f"{len(self.waiting)} reads without an answer")


def words(rng, count, span=24):
    """Runs of neighbours that start near the end of a page."""
    places, place = [], 0
    for _ in range(count):
        place = place + 1 if rng.random() < 0.7 else 1024 - span // 2 + rng.randrange(span)
        places.append(place)
    return places


@pytest.mark.parametrize("first", ["", "address", "data"])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_reads_see_all_writes_before_them(seed, first):
    rng = random.Random(f"{seed}{first}")
    writes = [(place, rng.getrandbits(32), rng.randrange(16)) for place in words(rng, 200)]
    run = Run(words(rng, 200), writes, seed, first=first, late=rng.randrange(12)).run()
    assert len(run.answered) == 200
    # Responses have come for all writes, so that the memory has them.
    held = {place * BYTES: word for place, word in run.memory.items() if word}
    assert {place: word for place, word in run.bus.cells.items() if word} == held
    assert not run.error


def test_streams_are_long_bursts_of_a_word_a_clock():
    run = Run(range(3, 259), [(4096 + place, place, 15) for place in range(256)]).run()
    # The first burst ends where all others do: the second one is gathered for three clocks more.
    assert run.answered[-1] - run.answered[0] == 255 + 3
    assert run.bus.bursts["ar"] == [13, *[16] * 15, 3]
    assert run.bus.bursts["aw"] == [16] * 16
    assert run.clocks < 256 + 40


def test_a_read_waits_for_the_response_only_of_what_it_reads():
    late = 200
    busy = Run([5], [(5, 77, 15)], late=late).run()
    assert busy.answered[0] >= late
    # Of the three only the first is written to; it was accepted in the clock of the write.
    free = Run([9, 10, 11], [(5, 77, 15)], late=late).run()
    assert free.answered[-1] < late + 20


@pytest.mark.parametrize(("reads", "writes"), [([1, 2, 3], []), ([], [(2, 5, 15), (9, 5, 15)])])
def test_a_response_that_failed_is_remembered(reads, writes):
    assert not Run(reads, writes).run().error
    assert Run(reads, writes, fails=lambda place: place == 8).run().error


def test_the_memory_begins_at_its_base():
    run = Run([1], [(7, 0xABCD, 15)], base=0x1000_0000).run()
    assert run.bus.cells == {0x1000_001C: 0xABCD}


@pytest.mark.parametrize("memory_bytes", [0, 24, 256])
def test_an_impossible_bus_is_refused(memory_bytes):
    with pytest.raises(ValueError, match=f"memory_bytes={memory_bytes} is no width"):
        Axi4Config(memory_bytes=memory_bytes)


@pytest.mark.parametrize("base", [0x1001, -4096, 1 << 32])
def test_an_impossible_base_is_refused(base):
    with pytest.raises(ValueError, match=f"base={base:#x} is no 32-bit multiple of 4096"):
        Axi4Config(memory_bytes=16, base=base)


def test_the_generator_writes_a_manager_with_plain_names(tmp_path):
    command = [sys.executable, "-m", "gcnloom_hw", "smallest", "-o", str(tmp_path)]
    subprocess.run([*command, "--memory", "axi4", "--base", "0x10000000"], check=True)
    contents = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert contents["memory"] == {"kind": "axi4", "base": 0x1000_0000}
    text = (tmp_path / "gcnloom.v").read_text(encoding="utf-8")
    header = text[text.rindex("module gcnloom(") :].split(";")[0]
    names = {name.strip() for name in header.split("(")[1].rstrip(")").split(",")}
    assert names == set(contents["ports"])
    assert {"m_axi_awaddr", "m_axi_wstrb", "m_axi_bready", "m_axi_arvalid"} <= names
    refused = subprocess.run([*command, "--base", "4096"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith("gcnloom_hw: error: base=0x1000 is for axi4")


def test_an_unknown_memory_is_refused():
    config = AcceleratorConfig.from_toml("smallest")
    for make in (verilog_text, manifest):
        with pytest.raises(ValueError, match="unknown memory 'ddr'; use one of port, axi4"):
            make(config, memory="ddr")
