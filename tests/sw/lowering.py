# SPDX-License-Identifier: Apache-2.0
"""Random small configurations and graphs, and devices full of rubbish, for tests of lowering."""

from contextlib import contextmanager
from math import lcm

import numpy as np
from scipy.sparse import csr_array

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.graphs.graph import Graph
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer
from gcnloom_spec.commands import Store
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["random_config", "random_graph", "rubbish", "trained"]


def random_config(rng):
    """A legal configuration that hardly anything fits."""
    lanes, pes = int(rng.choice([1, 2, 3, 4, 8])), int(rng.integers(1, 7))
    high = lanes * int(rng.integers(1, 4))
    low = lanes // 2 if lanes % 2 == 0 else 1
    rows, panels = high if rng.random() < 0.7 else low, int(rng.integers(1, 4))
    memory_bytes = max(8, 2 ** int(rng.integers(2, 7)))
    word = memory_bytes // (1 << (lanes - 1).bit_length())
    banks = max(2 ** int(rng.integers(3, 5)), 1 << (pes - 1).bit_length(), word)
    banks = banks if rng.random() < 0.3 else 0

    def depth(least, spare=40):
        return least + int(rng.integers(spare + 4 * least))

    unit = max(word, banks)
    return AcceleratorConfig(
        pes=pes, lanes=lanes, rows=rows, columns=panels * lanes, memory_bytes=memory_bytes,
        operand_depth=2 * unit * panels + unit * int(rng.integers(4 * panels + 40 // unit)),
        operand_banks=banks,
        accumulator_depth=depth(max(2, word, 2 * panels * -(-word // pes))),
        edge_depth=depth(16 * memory_bytes), order_depth=depth(2 * max(word, 8)),
        left_depth=depth(2 * word), right_depth=depth(max(2 * rows, 2 * word, lcm(rows, word))),
        sum_depth=depth(max(rows, word)), mask_depth=depth(2 * word),
        fabric_depth=4, command_depth=2,
    )  # fmt: skip


def random_graph(rng, nodes=None, *, sparse=None, directed=None):
    """A graph of some dozen nodes; sparse features are all ones every other time."""
    nodes = int(rng.integers(1, 70)) if nodes is None else nodes
    coin = rng.random(3) < 0.5
    edges = np.triu(rng.random((nodes, nodes)) < rng.choice([0.02, 0.1, 0.3]), 1) * 1.0
    if not (coin[0] if directed is None else directed):
        edges += edges.T
    classes = int(rng.integers(1, 6))
    shape = nodes, int(rng.integers(1, 20))
    features = rng.uniform(-1, 1, shape) * (rng.random(shape) < 0.4)
    if coin[1] if sparse is None else sparse:
        features = csr_array((features != 0) * 1.0 if coin[2] else features)
    order = rng.permutation(nodes)
    return Graph(
        name="random", adjacency=csr_array(edges), features=features,
        labels=np.arange(nodes) % min(classes, nodes), train=order[: rng.integers(1, nodes + 1)],
        val=order[:1], test=order[:1],
    )  # fmt: skip


def trained(graph, config, options):
    """A trainer at its end."""
    with open_device("model", config, memory_megabytes=16) as device:
        trainer = Trainer(graph, Options(**options), device)
        trainer.run()
    return trainer


@contextmanager
def rubbish(monkeypatch):
    """Let every program find rubbish on chip, and in device memory wherever it will store."""
    rng, run = np.random.default_rng(99), Device.run

    def spoil(array):
        """Leave nothing of an array; mantissas stay mantissas."""
        array[...] = rng.integers(-7, 8, array.shape)

    def spoilt(device, program, seed=0, step=0):
        model, sizes = device._transport, device.config
        memories = model._memories
        arrays = [memories.operand, memories.left, memories.right, *memories.masks.values()]
        for array in [*arrays, model._sparse._sums, model._dense._sums]:
            spoil(array)
        for command in program.commands:
            if isinstance(command, Store):
                packing = sizes.sums if command.raw else sizes.vector
                spoil(model._bytes(command.address, packing.words(command.count)).view(np.int8))
        return run(device, program, seed, step)

    with monkeypatch.context() as patch:
        patch.setattr(Device, "run", spoilt)
        yield
