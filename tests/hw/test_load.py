# SPDX-License-Identifier: Apache-2.0
"""The load unit against device memory cut into items byte by byte."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest
from amaranth.sim import Simulator

from gcnloom_hw.memory.load import Load
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target

# Words of one group, of several groups, and items of several words.
CONFIGS = {name: AcceleratorConfig.from_toml(name) for name in ("smallest", "odd", "short", "wide")}
PORTS = {
    Target.OPERAND: "operand_writes",
    Target.EDGES: "edge_writes",
    Target.ORDER: "order_writes",
    Target.LEFT: "left_writes",
    Target.RIGHT: "right_writes",
    Target.MASK_AGGREGATE: "mask_aggregate_writes",
    Target.MASK_TRANSFORM: "mask_transform_writes",
}
WRITTEN = dict.fromkeys(PORTS) | {Target.PLAIN_EDGES: Target.EDGES}
BANKED = (Target.OPERAND, Target.LEFT, Target.RIGHT)
MEMORY_WORDS = 1 << 10
LIMIT = 20_000


@dataclass(frozen=True)
class Write:
    """One write that left: items by address on chip, and the signals that went with it."""

    target: Target
    bank: int | None
    items: dict[int, int]
    signals: int


def packing_of(config, target):
    kinds = {
        Target.EDGES: config.edge_beat,
        Target.PLAIN_EDGES: config.plain_beat,
        Target.ORDER: config.order,
    }
    return kinds.get(target, config.vector)


def group_of(config, target):
    """Items that lie in one word, at most as many as are written in a cycle."""
    if target == Target.PLAIN_EDGES:
        return group_of(config, Target.EDGES)
    most = {Target.EDGES: 2, Target.ORDER: 4}.get(target, 8)
    return min(packing_of(config, target).items_per_word, most)


def item_bits(config, target, octets, weight):
    """Bits that are kept of an item as it lies in device memory."""
    number = int.from_bytes(octets, "little")
    if target == Target.PLAIN_EDGES:
        return sum(
            weighted(config, number, pe, weight) << config.edge_bits * pe
            for pe in range(config.pes)
        )
    if target == Target.EDGES:
        return number % (1 << config.pes * config.edge_bits)
    if target == Target.ORDER:
        return number % (1 << config.order_bits)
    bits, width = 0, config.operand_width
    for lane in range(config.lanes):
        value = (number >> 8 * config.operand_bytes * lane) % (1 << width)
        if target in (Target.MASK_AGGREGATE, Target.MASK_TRANSFORM):
            bits |= int(0 < value < 1 << width - 1) << lane
        else:
            bits |= value << width * lane
    return bits


def weighted(config, beat, pe, weight):
    """Edge of a PE in a beat without weights: column and slot, then weight, `first`, `valid`."""
    width = config.operand_width
    plain = beat >> (config.edge_bits - width) * pe
    place = config.edge_bits - width - 2
    first, valid = plain >> place & 1, plain >> place + 1 & 1
    kept = plain % (1 << place) | (weight % (1 << width) << place if valid else 0)
    return kept | (first | (first | valid) << 1) << place + width


def expected(config, memory, commands):
    """Writes of commands in order."""
    writes = []
    for command in commands:
        target = command["target"]
        pitch = packing_of(config, target).item_bytes
        start = command["address"] * config.memory_bytes
        items = [
            item_bits(
                config, target, memory[start + pitch * index :][:pitch], command.get("weight", 0)
            )
            for index in range(command["count"])
        ]
        group = group_of(config, target)
        for first in range(0, len(items), group):
            some = dict(enumerate(items[first : first + group], command["base"] + first))
            last = first + group >= len(items)
            bank = command["bank"] if target in BANKED else None
            written = WRITTEN[target] or target
            writes.append(Write(written, bank, some, command["signals"] if last else 0))
    return writes


def random_commands(config, rng):
    """Loads of every kind, of every count up to a few groups, in any order."""
    commands = []
    for target in Target:
        group = group_of(config, target)
        for count in {*range(1, 2 * group + 2), 5 * group - 1, 5 * group}:
            commands.append(
                {
                    "target": target,
                    "bank": int(rng.integers(16)),
                    "base": group * int(rng.integers(20)),
                    "count": count,
                    "address": int(rng.integers(MEMORY_WORDS - 5 * 8 * 3)),
                    "signals": int(rng.integers(1, 32)),
                    "weight": int(rng.integers(-8, 8)),
                }
            )
    return [commands[index] for index in rng.permutation(len(commands))]


class Bench:
    """Runs loads; each stream waits with probability `stall` in each cycle."""

    def __init__(self, config, memory, commands, *, stall=0.0):
        self.config, self.load = config, Load(config)
        self.writes, self.cycles, self.asked = [], [], dict.fromkeys(Target, 0)
        self._memory, self._stall = memory, stall
        self._commands, self._words = deque(commands), deque()
        self._wanted = len(expected(config, memory, commands))
        self._random = np.random.default_rng(4)
        self.idle_after = False
        simulator = Simulator(self.load)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._run)
        simulator.run()

    def _willing(self):
        return bool(self._random.random() >= self._stall)

    def _offer(self, ctx, port, queue):
        if queue and not ctx.get(port.valid) and self._willing():
            ctx.set(port.payload, queue[0])
            ctx.set(port.valid, 1)

    async def _run(self, ctx):
        load = self.load
        ports = {target: getattr(load, name) for target, name in PORTS.items()}
        streams = [load.commands, load.words, load.requests, *ports.values()]
        for cycle in range(LIMIT):
            self._offer(ctx, load.commands, self._commands)
            self._offer(ctx, load.words, self._words)
            for port in streams[2:]:
                ctx.set(port.ready, self._willing())
            _, _, signals, asked, *values = await ctx.tick().sample(
                load.signals, load.asked, *(port.valid & port.ready for port in streams),
                *(port.payload for port in streams[2:]),
            )  # fmt: skip
            taken, payloads = values[: len(streams)], values[len(streams) :]
            for port, queue, took in zip(
                streams, (self._commands, self._words), taken, strict=False
            ):
                if took:
                    queue.popleft()
                    ctx.set(port.valid, 0)
            if taken[2]:
                self._answer(payloads[0])
            wrote = zip(ports, taken[3:], payloads[1:], strict=True)
            self._note(cycle, taken[2], asked, signals, wrote)
            if len(self.writes) == self._wanted:
                break
        await ctx.tick().repeat(4)
        self.idle_after = bool(ctx.get(load.idle)) and not self._words

    def _answer(self, request):
        size = self.config.memory_bytes
        word = self._memory[request.address * size :][:size]
        self._words.append({"data": int.from_bytes(word, "little"), "last": request.last})

    def _note(self, cycle, requested, asked, signals, ports):
        assert asked.bit_count() == requested
        if asked:
            self.asked[Target(asked.bit_length() - 1)] += 1
        wrote = [(target, payload) for target, taken, payload in ports if taken]
        assert len(wrote) <= 1
        assert wrote or not signals
        for target, payload in wrote:
            group = len(payload.data)
            bits = payload.data.as_bits()
            width = payload.data.shape().size // group
            items = {
                payload.address * group + lane: bits >> width * lane & (1 << width) - 1
                for lane in range(group)
                if payload.enable >> lane & 1
            }
            bank = payload.bank if target in BANKED else None
            self.writes.append(Write(target, bank, items, signals))
            self.cycles.append(cycle)


def random_memory(config, rng):
    return rng.bytes(MEMORY_WORDS * config.memory_bytes)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_each_item_is_written_once_where_it_belongs_and_signals_come_last(name, stall):
    config, rng = CONFIGS[name], np.random.default_rng(len(name))
    memory, commands = random_memory(config, rng), random_commands(config, rng)
    bench = Bench(config, memory, commands, stall=stall)
    assert bench.writes == expected(config, memory, commands)
    assert bench.idle_after
    for target, asked in bench.asked.items():
        packing = packing_of(config, target)
        counts = [command["count"] for command in commands if command["target"] == target]
        assert asked == sum(map(packing.words, counts))


@pytest.mark.parametrize("target", [Target.OPERAND, Target.EDGES, Target.ORDER])
@pytest.mark.parametrize("name", ["smallest", "short"])
def test_a_group_is_written_each_cycle(name, target):
    config, rng = CONFIGS[name], np.random.default_rng(2)
    memory = random_memory(config, rng)
    command = {"target": target, "bank": 0, "base": 0, "address": 7, "signals": 1}
    commands = [command | {"count": 16 * group_of(config, target)}] * 2
    bench = Bench(config, memory, commands)
    assert len(bench.writes) == 32
    # Between two commands the next one's first word is still to come.
    for half in (bench.cycles[:16], bench.cycles[16:]):
        assert np.all(np.diff(half) == 1)
