# SPDX-License-Identifier: Apache-2.0
"""Rounds: every neuron is dealt once, weights go back to where they came from."""

from itertools import pairwise

import numpy as np
import pytest

from gcnloom.errors import ConfigError
from gcnloom.parallel.rounds import Rounds

TRIALS = 1000


def rounds(**fields):
    given = {"workers": 2, "hidden": 8, "hidden_layers": 2, "epochs": 8, "local_iterations": 2}
    return Rounds(**given | {"seed": 0} | fields)


def some_rounds(rng):
    hidden = int(rng.integers(1, 40))
    return rounds(
        workers=int(rng.integers(1, hidden + 1)), hidden=hidden, epochs=40,
        hidden_layers=int(rng.integers(1, 4)), seed=int(rng.integers(1 << 32)),
    )  # fmt: skip


def some_weights(rng, plan):
    inner, outer = rng.integers(1, 6, size=2)
    widths = [inner, *[plan.hidden] * plan.hidden_layers, outer]
    return [rng.normal(size=shape) for shape in pairwise(widths)]


def by_hand(weights, groups, worker):
    """One element after the other, as the paper's formula has it."""
    sides = [range(weights[0].shape[0])]
    sides += [layer[worker].tolist() for layer in groups.layers]
    sides += [range(weights[-1].shape[1])]
    return [
        [[array[row, column] for column in outer] for row in inner]
        for array, inner, outer in zip(weights, sides, sides[1:], strict=False)
    ]


def test_groups_partition_every_layer_and_weights_return_to_their_places():
    seed = 1
    print("seed", seed)
    rng = np.random.default_rng(seed)
    for _ in range(TRIALS):
        plan = some_rounds(rng)
        weights, number = some_weights(rng, plan), int(rng.integers(1000))
        groups = plan.groups(number)
        for layer in groups.layers:
            sizes = [len(group) for group in layer]
            assert max(sizes) - min(sizes) <= 1
            assert sizes == [plan.width(worker) for worker in range(plan.workers)]
            assert np.array_equal(np.sort(np.concatenate(layer)), np.arange(plan.hidden))
        worker = int(rng.integers(plan.workers))
        part = groups.gather(weights, worker)
        assert [array.tolist() for array in part] == by_hand(weights, groups, worker)
        again = [array.copy() for array in weights]
        for other in range(plan.workers):
            groups.scatter(again, other, groups.gather(weights, other))
        assert all(np.array_equal(a, b) for a, b in zip(again, weights, strict=True))


def test_what_is_put_back_changes_a_workers_own_weights_only():
    plan = rounds(workers=3, hidden=7)
    weights = [np.zeros((4, 7)), np.zeros((7, 7)), np.zeros((7, 2))]
    groups = plan.groups(5)
    for worker in range(3):
        shapes = [array.shape for array in groups.gather(weights, worker)]
        groups.scatter(weights, worker, [np.full(shape, worker + 1.0) for shape in shapes])
    owner = [np.empty(7), np.empty(7)]
    for layer in range(2):
        for worker in range(3):
            owner[layer][groups.layers[layer][worker]] = worker + 1
    assert np.array_equal(weights[0], np.tile(owner[0], (4, 1)))
    assert np.array_equal(weights[2], np.tile(owner[1][:, None], (1, 2)))
    same = owner[0][:, None] == owner[1]
    assert np.array_equal(weights[1], np.where(same, owner[0][:, None], 0.0))


def test_one_worker_has_all_neurons_in_order():
    groups = rounds(workers=1, hidden=5).groups(3)
    assert [layer[0].tolist() for layer in groups.layers] == [[0, 1, 2, 3, 4]] * 2


def test_permutations_differ_by_seed_round_and_layer_and_are_fair():
    count = 400
    firsts = [rounds(seed=seed).groups(number) for seed in (7, 8) for number in range(count // 2)]
    drawn = {tuple(layer[0].tolist()) for groups in firsts for layer in groups.layers}
    assert len(drawn) == 70  # All ways to choose four neurons of eight.
    together = np.zeros((8, 8))
    for groups in firsts:
        for first, second in zip(*groups.layers, strict=True):
            together[np.ix_(first, second)] += 1
    assert abs(together / count - 0.5).max() < 0.12  # Nearly five standard deviations.


def test_epochs_are_divided_and_the_last_round_takes_the_rest():
    plan = rounds(workers=3, epochs=32, local_iterations=4)
    assert plan.local_epochs == 10
    assert [plan.iterations(number) for number in range(plan.count)] == [4, 4, 2]
    assert rounds(local_iterations=9).count == 1


def test_seeds_differ_and_the_first_is_the_trainings_own():
    plan = rounds(workers=4, seed=5)
    seeds = [plan.local_seed(number, worker) for number in range(50) for worker in range(4)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"workers": 0}, "workers=0 is no number from 1 on; try 1"),
        ({"local_iterations": 0}, "local_iterations=0 is no number from 1 on; try 1"),
        ({"workers": 9}, "workers=9 are more than the 8 neurons of a hidden layer; try workers=8"),
        ({"workers": 4, "epochs": 3}, "epochs=3 divided among workers=4 leave none; try epochs=4"),
        ({"hidden_layers": 0}, "without hidden layers cannot be divided among workers=2; try lay"),
    ],
)
def test_what_cannot_be_divided_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        rounds(**fields)
