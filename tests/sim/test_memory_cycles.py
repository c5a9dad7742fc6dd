# SPDX-License-Identifier: Apache-2.0
"""Cycles are predicted with every memory model: three per cent of what the gateware takes."""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.layers import Network
from gcnloom.training.engine import Engine
from gcnloom_sim.cycles import predict
from gcnloom_sim.cycles.cases import cases
from gcnloom_sim.cycles.memory import clock
from gcnloom_sim.memory import DRAMS
from tests.sim.memory_requests import random_bus, random_dram, random_requests, random_tiers
from tests.sim.slow_memory import serve, slow

MODELS = ("8/20", "2/30", "sdram16", "ddr3-16", "sdram16+4K")
TOLERANCE = 0.03


def predicted(model, word_bytes, reads, writes):
    """When the cycle model accepts and answers each request, reads first."""
    memory, waiting = clock(model, word_bytes), [deque(reads), deque(writes)]
    done, now = [[], []], 0
    while any(waiting):
        asks = [stream[0][1] if stream and stream[0][0] <= now else None for stream in waiting]
        accepts = memory.ready(now, read=asks[0], write=asks[1])
        for way in (1, 0):
            if asks[way] is not None and accepts[way]:
                address = waiting[way].popleft()[1]
                done[way].append((now, memory.accept(now, address, write=bool(way))))
        now += 1
    return done[0] + done[1]


@pytest.mark.parametrize("seed", range(8))
def test_the_cycle_models_memory_is_that_of_the_clock_by_clock_reference(seed):
    rng = np.random.default_rng(1000 + seed)
    word_bytes = int(rng.choice([4, 16, 64, 256]))
    reads, writes = (random_requests(rng, word_bytes, 150) for _ in range(2))
    for model in (*DRAMS.values(), random_dram(rng), random_bus(rng), random_tiers(rng)):
        served = serve(slow(model, word_bytes), reads, writes)
        expected = [(request.accepted, request.due) for request in served if not request.write]
        found = predicted(model, word_bytes, reads, writes)
        assert found[: len(reads)] == expected, (model, word_bytes)
        assert [accepted for accepted, _ in found[len(reads) :]] == [
            request.accepted for request in served if request.write
        ], (model, word_bytes)


@pytest.mark.sim
@pytest.mark.parametrize("memory", MODELS)
def test_loads_and_stores_take_as_long_as_predicted(memory):
    wrong = []
    with open_device("rtl:odd", memory_megabytes=1, memory=memory) as device:
        for case in cases(device.config, (40, 120)):
            if "LOAD" not in case.name and "stored" not in case.name:
                continue
            program, counters = case.measure(device)
            cycles = predict(program, device.config, memory, device.load(program)).cycles
            if abs(cycles - counters["cycles"]) > TOLERANCE * counters["cycles"]:
                wrong.append((case.name, case.count, cycles, counters["cycles"]))
    assert not wrong


@pytest.mark.sim
@pytest.mark.parametrize("memory", MODELS)
@pytest.mark.parametrize(("data", "name"), [("sbm:120,3", "odd"), ("sbm:60,3", "smallest")])
def test_training_takes_as_long_as_predicted(data, name, memory):
    graph = datasets.load(data, seed=0)
    widths = (graph.features.shape[1], 8, graph.classes)
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-0.3, 0.3, shape) for shape in pairwise(widths)]
    with open_device(f"rtl:{name}", memory_megabytes=16, memory=memory) as device:
        engine = Engine(graph, Network(widths=widths, dropout=0.5), device, seed=1)
        logits = engine.forward(weights, step=0, training=True)
        engine.backward(logits, step=0)
        for part in ("forward", "backward"):
            program = getattr(engine.lowered, part)
            measured = engine.counters[part]["cycles"]
            cycles = predict(program, device.config, memory, device.load(program)).cycles
            assert abs(cycles - measured) <= TOLERANCE * measured
