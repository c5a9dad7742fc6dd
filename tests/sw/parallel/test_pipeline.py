# SPDX-License-Identifier: Apache-2.0
"""Chunks change no bit; staleness uses the rows of the epochs it says, and no older ones."""

from functools import partial

import numpy as np
import pytest

from gcnloom.errors import CheckpointError, ConfigError
from gcnloom.graphs.partition import node_parts
from gcnloom.parallel.pipeline import Pipeline
from gcnloom.parallel.shares import even_shares
from gcnloom.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from gcnloom.training.weights import first_weights
from tests.sw.graphs import block_model
from tests.sw.parallel.stale import stale_weights
from tests.sw.parallel.workers import bits, options, together, trained

SEED = 3
MODES = ("mop", "partition")
EPOCHS = 6
PRECISE = options(epochs=EPOCHS, sampled=False, dropout=0.0, lr=0.2, momentum=0.5, weight_decay=0.0)
TOLERANCE = 5e-4
"""Of a weight's change, as a share of the largest one: operands of 16 bits, delayed scaling."""


def _graph():
    return block_model(48, 3, seed=SEED)


def _stale(mode, workers, staleness, settings=PRECISE, spec="model:wide", chunks=1):
    return together(
        _graph(), settings, mode=mode, workers=workers, spec=spec,
        pipeline=Pipeline(staleness=staleness, chunks=chunks),
    )  # fmt: skip


def _apart(weights, others, start):
    """Largest difference of two trainings, over the largest change of the second."""
    change = max(np.abs(b - c).max() for b, c in zip(others, start, strict=True))
    return max(np.abs(a - b).max() for a, b in zip(weights, others, strict=True)) / change


@pytest.mark.parametrize("staleness", [0, 1, 2])
@pytest.mark.parametrize(("mode", "workers"), [("mop", 2), ("mop", 3), ("partition", 2)])
def test_rows_of_others_are_those_of_the_epoch_it_says(mode, workers, staleness):
    graph, trainer = _graph(), _stale(mode, workers, staleness)[0][0]
    order = trainer.engine.graph.order

    def owners(count):
        if mode == "partition":
            return node_parts(graph.adjacency, workers)[order]
        return np.repeat(np.arange(workers), [len(each) for each in even_shares(count, workers)])

    start = first_weights(trainer.engine.network, PRECISE.seed)
    floats = partial(
        stale_weights, graph, start, order, owners, mode, epochs=EPOCHS, lr=PRECISE.lr,
        momentum=PRECISE.momentum,
    )  # fmt: skip
    apart = {other: _apart(trainer.weights, floats(other), start) for other in (0, 1, 2)}
    print("seed", SEED, apart)
    assert apart.pop(staleness) < TOLERANCE
    assert min(apart.values()) > 10 * TOLERANCE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("staleness", [1, 3])
def test_staleness_is_bounded_and_moves_no_more_bytes(mode, staleness):
    settings = options(epochs=5)
    alone = bits(trained(_graph(), settings))
    done = _stale(mode, 2, staleness, settings, "model:odd")
    assert len({bits(trainer) for trainer, _ in done} | {alone}) == 2
    again = _stale(mode, 2, staleness, settings, "model:odd")
    assert bits(again[0][0]) == bits(done[0][0])
    found = done[0][1]
    ages = {int(age): count for age, count in found["staleness"]["exchanges"].items()}
    # The first epoch is run until its shifts fit.
    once = 2 * (2 + 2) * (2 if mode == "mop" else 1)
    runs = done[0][0].engine.runs["forward"]
    firsts = dict.fromkeys(range(1, staleness), once)
    firsts[0] = once * (runs - 4)
    assert ages == firsts | {staleness: once * (5 - staleness)}
    for kind, numbers in found["bytes_per_epoch"].items():
        assert numbers["measured"] == pytest.approx(numbers["formula"], rel=0.01), kind
    features = ("activations", "logits", "gradients")
    assert found["overlap"]["hidden"] == sum(
        found["bytes_per_epoch"][kind]["measured"] for kind in features
    )


@pytest.mark.parametrize("mode", MODES)
def test_one_worker_has_nothing_stale(mode):
    settings = options(epochs=3)
    trainer, found = _stale(mode, 1, 2, settings, "model:odd")[0]
    assert bits(trainer) == bits(trained(_graph(), settings))
    assert found["staleness"] == {"allowed": 2, "exchanges": {}}


@pytest.mark.parametrize(
    ("mode", "chunks"), [("mop", 2), ("mop", 3), ("mop", 5), ("mop", 8), ("partition", 4)]
)
def test_chunks_change_no_bit_and_travel_beside_products(mode, chunks):
    settings = options(layers=3 if chunks == 2 else 2, sampled=chunks != 3)
    expected = trained(_graph(), settings)
    done = _stale(mode, 3 if chunks == 5 else 2, 0, settings, "model:odd", chunks)
    for trainer, found in done:
        assert bits(trainer) == bits(expected)
        assert trainer.history == expected.history
        moved = found["bytes_per_epoch"]
        assert found["overlap"]["hidden"] > 0
        assert sum(found["overlap"].values()) == sum(each["measured"] for each in moved.values())
        assert all(each["measured"] == pytest.approx(each["formula"], rel=0.01)
                   for each in moved.values())  # fmt: skip


def test_chunks_round_stochastically_to_the_same_bits():
    settings = options(rounding="stochastic")
    expected = bits(trained(_graph(), settings))
    assert bits(_stale("mop", 2, 0, settings, "model:odd", 4)[0][0]) == expected


def test_chunks_of_devices_that_differ_are_the_same():
    settings = options(epochs=1)
    expected = bits(trained(_graph(), settings, "model:smallest"))
    specs = "model:smallest", "model:demo"
    assert bits(_stale("mop", 2, 0, settings, specs, 3)[1][0]) == expected


@pytest.mark.parametrize("mode", MODES)
def test_chunks_of_stale_rows_change_no_bit(mode):
    one, three = (
        bits(_stale(mode, 2, 1, options(epochs=4), "model:odd", chunks)[0][0]) for chunks in (1, 3)
    )
    assert one == three


@pytest.mark.sim
def test_simulated_accelerators_in_chunks_and_stale_are_the_models():
    settings, pipeline = options(hidden=4, epochs=2), Pipeline(staleness=1, chunks=2)
    graph = block_model(16, 2, seed=SEED)
    model, rtl = (
        together(
            graph, settings, mode="mop", workers=2, spec=f"{name}:smallest", pipeline=pipeline
        )[0]
        for name in ("model", "rtl")
    )
    assert bits(model[0]) == bits(rtl[0])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"staleness": -1}, r"staleness=-1 is outside 0\.\.64; try 0"),
        ({"staleness": 1.0}, r"staleness=1.0 is outside 0\.\.64; try 0"),
        ({"chunks": 0}, r"chunks=0 is outside 1\.\.8; try 1"),
        ({"chunks": 9}, r"chunks=9 is outside 1\.\.8; try 1"),
    ],
)
def test_numbers_outside_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        Pipeline(**fields)


def _stopped(mode, staleness, epochs=3, keep_every=10):
    """Return the checkpoint of a training that goes on for so many epochs."""
    pipeline = Pipeline(staleness=staleness, chunks=2)
    settings = options(epochs=epochs)
    done = together(
        _graph(), settings, mode=mode, workers=2, pipeline=pipeline, keep_every=keep_every
    )
    return done[0][0].checkpoint()


def _resumed(checkpoint, mode, staleness, **changes):
    given = {"pipeline": Pipeline(staleness=staleness, chunks=2), "workers": 2} | changes
    return together(_graph(), options(epochs=6), mode=mode, earlier=checkpoint, **given)[0][0]


@pytest.mark.parametrize(("mode", "staleness"), [("mop", 1), ("partition", 2), ("mop", 5)])
def test_a_stale_training_is_continued_to_the_same_bits(mode, staleness, tmp_path):
    whole = _stale(mode, 2, staleness, options(epochs=6), "model:odd", chunks=2)[0][0]
    save_checkpoint(tmp_path / "it.npz", _stopped(mode, staleness))
    checkpoint = load_checkpoint(tmp_path / "it.npz")
    trainer = _resumed(checkpoint, mode, staleness, keep_every=3)
    assert bits(trainer) == bits(whole)
    assert trainer.history == whole.history
    # Rows under way matter: with others it is another training.
    emptied = {
        name: array * (0 if name == "pipe0" else 1) for name, array in checkpoint.arrays.items()
    }
    other = Checkpoint(arrays=emptied, meta=checkpoint.meta)
    assert bits(_resumed(other, mode, staleness)) != bits(whole)


def test_a_checkpoint_is_of_the_last_epoch_that_was_gathered():
    kept = []

    def look(trainer):
        kept.append(len(trainer.checkpoint().meta["history"]))

    together(
        _graph(), options(epochs=5), mode="mop", workers=2, pipeline=Pipeline(staleness=1),
        keep_every=2, watch=look,
    )  # fmt: skip
    assert kept == [0, 2, 2, 4, 5]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"workers": 3}, r"'workers': 2.* and not .*'workers': 3"),
        ({"pipeline": Pipeline(staleness=2, chunks=2)}, r"'staleness': 1.* and not .*"),
        ({"pipeline": Pipeline()}, "with stale rows; try its --parallel, --workers, --staleness"),
    ],
)
def test_a_stale_training_is_continued_as_it_was(changes, said):
    with pytest.raises(CheckpointError, match=said):
        _resumed(_stopped("mop", 1, epochs=1), "mop", 1, **changes)


def test_a_synchronous_training_is_not_continued_with_stale_rows():
    with pytest.raises(CheckpointError, match="trained with no staleness and not"):
        _resumed(_stopped("mop", 0, epochs=1), "mop", 1)
