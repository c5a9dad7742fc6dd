# SPDX-License-Identifier: Apache-2.0
"""Routines, labels, records and master weights lie in device memory as the contract says."""

import numpy as np
import pytest

from gcnloom.errors import ConfigError, ProgramError
from gcnloom.layers import Network
from gcnloom.lower.losses import Losses
from gcnloom.programs.encoding import decode
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Part, Routine
from gcnloom.tensors.memory import Allocator, TensorLayout
from gcnloom.training.masters import pack_masters, unpack_masters
from gcnloom_spec.commands import Repeat, Scale
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.items import Split
from tests.sw.graphs import block_model, changed

CONFIGS = {
    name: AcceleratorConfig.from_toml(name)
    for name in ("smallest", "odd", "tall", "wide", "banked", "demo")
}


def routine(config, sizes=(3, 1, 5)):
    def part(size, **fields):
        commands = [Scale(rule=2, tensor=size, exponent=index) for index in range(size)]
        return Part(program=Program.of(commands, config.digest), **fields)

    parts = [part(size) for size in sizes[:-1]]
    last = part(sizes[-1], repeat=Repeat(passes=7, loop=1, advance=1, patience=2), back=1)
    return Routine(parts=[*parts, last], config=config)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_routine_is_walked_by_its_repeats_alone(config):
    """Each program begins at a word of its own, where the repeat before it says."""
    made = routine(config)
    data = made.to_bytes()
    assert len(data) == made.words * config.memory_bytes

    def program(word, count):
        raw = np.frombuffer(data, dtype="<u8", offset=word * config.memory_bytes)
        return decode(raw[: 4 * count].reshape(count, 4).astype(np.uint64))

    word, count, seen = 0, made.first_commands, []
    while count:
        *commands, repeat = program(word, count)
        seen.append((word, commands))
        last, word, count = repeat, repeat.following, repeat.following_count
    assert [commands for _, commands in seen] == [list(p.program.commands) for p in made.parts]
    assert (last.passes, last.loop, last.advance, last.patience) == (7, 1, 1, 2)
    assert program(last.target, last.target_count)[:-1] == seen[1][1]
    assert last.target == seen[1][0]
    listed = made.listing()
    assert [f"+{word:#x}" in listed for word, _ in seen] == [True] * 3
    assert listed.count("\n\n") == 2


def test_a_routine_goes_back_only_to_what_has_run():
    program = Program.of([Scale(rule=0, tensor=1)], "0123456789abcdef")
    with pytest.raises(ProgramError, match="part 0 goes back to part 1, which comes later"):
        Routine(parts=[Part(program=program, back=1)], config=CONFIGS["odd"])
    with pytest.raises(ProgramError, match="a routine of no parts does nothing"):
        Routine(parts=[], config=CONFIGS["odd"])


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_master_weights_lie_vector_by_vector_beside_their_momenta(config):
    rng = np.random.default_rng(3)
    low, high = -(1 << (config.master_width - 1)), (1 << (config.master_width - 1)) - 1
    weights, momenta = rng.integers(low, high, (2, 7, 2 * config.lanes - 1), endpoint=True)
    layout = TensorLayout(
        config=config, rows=8, features=4 * config.lanes, kind="masters", block=4
    )  # fmt: skip
    data = pack_masters(layout, weights, momenta)
    found = unpack_masters(layout, data, weights.shape)
    assert np.array_equal(found[0], weights)
    assert np.array_equal(found[1], momenta)
    size = config.master_bytes
    for row, feature in ((0, 0), (3, config.lanes - 1), (5, config.lanes)):
        feature = min(feature, weights.shape[1] - 1)
        panel, lane = divmod(feature, config.lanes)
        block, inside = divmod(row, 4)
        word = layout.panel_address(panel, 4 * block)
        at = word * config.memory_bytes
        at += (
            inside
            // config.masters.items_per_word
            * (config.masters.words_per_item * config.memory_bytes)
            + inside % config.masters.items_per_word * config.masters.item_bytes
        )
        for array, place in ((weights, lane), (momenta, config.lanes + lane)):
            octets = data[at + place * size :][:size]
            assert int.from_bytes(octets, "little", signed=True) == array[row, feature]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_labels_say_class_and_split_in_the_order_of_the_rows(config):
    graph = block_model(classes=3)
    order = np.random.default_rng(1).permutation(graph.nodes)
    losses = Losses.place(
        graph, order, Network(widths=(4, 3)), config, Allocator(4096, config.memory_bytes), steps=9
    )  # fmt: skip
    size, per_word = config.label.item_bytes, config.label.items_per_word
    splits = dict.fromkeys(range(graph.nodes), Split.NONE)
    for nodes, split in ((graph.test, Split.TEST), (graph.val, Split.VAL)):
        splits |= dict.fromkeys(nodes.tolist(), split)
    splits |= dict.fromkeys(graph.train.tolist(), Split.TRAIN)
    for row, node in enumerate(order.tolist()):
        at = row // per_word * config.memory_bytes + row % per_word * size
        label = int.from_bytes(losses.labels[at : at + 2], "little")
        assert label >> 12 == splits[node]
        if splits[node] != Split.NONE:
            assert label & 0xFFF == graph.labels[node]
    # A record for each of the steps, behind each other.
    words = config.record.words(9)
    assert losses.inference_records - losses.training_records == words


def test_records_are_read_as_the_device_leaves_them():
    config = CONFIGS["demo"]
    losses = Losses.place(
        block_model(), np.arange(40), Network(widths=(4, 2)), config, Allocator(4096, 16), steps=2
    )  # fmt: skip
    data = b"".join(
        loss.to_bytes(5, "little") + right.to_bytes(3, "little")
        for loss, right in ((1 << 39, 5), (77, 1 << 23), (0, 0))
    ).ljust(32, b"\0")
    found = {name: each.tolist() for name, each in losses.unpack(data).items()}
    assert found == {
        "train_loss": [1 << 39], "train_correct": [5], "val_loss": [77],
        "val_correct": [1 << 23], "test_loss": [0], "test_correct": [0],
    }  # fmt: skip


def test_a_training_node_listed_twice_or_too_many_classes_are_refused():
    graph, config = block_model(), CONFIGS["smallest"]

    def place(graph, classes):
        return Losses.place(
            graph, np.arange(40), Network(widths=(4, classes)), config, Allocator(4096, 4), steps=2
        )  # fmt: skip

    with pytest.raises(ConfigError, match="lists a training node more than once"):
        place(changed(graph, train=[*graph.train, graph.train[0]]), 2)
    with pytest.raises(ConfigError, match=r"33 classes are more than the 32 that .*--update host"):
        place(graph, 33)
