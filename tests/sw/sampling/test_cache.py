# SPDX-License-Identifier: Apache-2.0
"""The cache in front of features: what it returns, what it counts, whom it keeps."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from gcnloom.errors import ConfigError
from gcnloom.sampling.cache import FeatureCache, Residents

SEED = 4


def _batches(count=12, vertices=90):
    rng = np.random.default_rng(SEED)
    return [np.unique(rng.zipf(1.5, 40) % vertices) for _ in range(count)]


@pytest.mark.parametrize("capacity", [0, 1, 17, 90])
@pytest.mark.parametrize("sparse", [False, True])
def test_rows_are_the_graphs_and_bytes_those_of_what_was_not_held(capacity, sparse):
    dense = np.random.default_rng(SEED).integers(-9, 9, size=(90, 6))
    features = csr_array(dense) if sparse else dense
    cache = FeatureCache(features, 8, capacity)
    held, wanted, fetched = set(), 0, 0
    for batch in _batches():
        rows = cache.fetch(batch)
        assert np.array_equal(rows.toarray() if sparse else rows, dense[batch])
        fresh = [vertex for vertex in batch.tolist() if vertex not in held]
        filled = np.count_nonzero(dense[fresh])
        wanted += filled * 5 + len(fresh) * 4 if sparse else len(fresh) * 6
        fetched += len(fresh)
        held = set(cache._residents.held.tolist())
        assert len(held) <= capacity
    assert (cache.fetched, cache.fetched_bytes) == (fetched, wanted)


def test_a_scan_does_not_empty_it_where_the_least_recently_used_would_leave():
    """Batches of eighty vertices, twenty of them always the same, and room for forty."""
    residents, always = Residents(100_000, 40), np.arange(20)
    hits = 0
    for number in range(50):
        scan = 100 + number * 60 + np.arange(60)
        hits += residents.use(np.concatenate([always, scan])).sum()
    assert hits == 49 * 20


def test_it_forgets_what_is_no_longer_used():
    residents = Residents(100, 10)
    for _ in range(100):
        residents.use(np.arange(10))
    for _ in range(40):
        residents.use(np.arange(50, 60))
    assert np.array_equal(residents.held, np.arange(50, 60))


def test_counts_do_not_overflow():
    residents = Residents(10, 4)
    for _ in range(10_000):
        residents.use(np.array([1, 2]))
    assert residents.use(np.array([1, 2])).all()
    assert np.isfinite(residents._uses).all()


def test_a_negative_capacity_is_refused():
    with pytest.raises(ConfigError, match="cache=-1"):
        FeatureCache(random_array((4, 4)), 8, -1)
