# SPDX-License-Identifier: Apache-2.0
"""Data sets have the promised shape, can be learnt from, and broken files say what is wrong."""

import sys
from pathlib import Path

import numpy as np
import pytest

from gcnloom.errors import DataError
from gcnloom.graphs.datasets import load
from gcnloom.graphs.graph import gcn_norm

CORA = Path(__file__).parents[2] / ".." / "shared" / "datasets" / "cora.npz"
ARRAYS = {
    "adj_indptr": np.array([0, 1, 2]),
    "adj_indices": np.array([1, 0]),
    "feat": np.eye(2),
    "labels": np.array([0, 1]),
    "train_idx": np.array([0]),
    "val_idx": np.array([1]),
    "test_idx": np.array([1]),
}


def save(path, drop=(), **change):
    arrays = {key: value for key, value in (ARRAYS | change).items() if key not in drop}
    np.savez(path, **arrays)
    return str(path)


def accuracy_of_least_squares(graph, propagate):
    """Test accuracy of a linear model: a learner that shares nothing with the project's own."""
    features = graph.features if propagate is None else propagate @ (propagate @ graph.features)
    dense = np.asarray(features.todense() if hasattr(features, "todense") else features)
    target = np.eye(graph.classes)[graph.labels[graph.train]]
    inputs = dense[graph.train]
    ridge = 0.1 * np.eye(dense.shape[1])
    weights = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ target)
    guess = np.argmax(dense[graph.test] @ weights, axis=1)
    return np.mean(guess == graph.labels[graph.test])


@pytest.mark.parametrize(
    ("spec", "least"), [("digits", 0.9), ("sbm:400,4", 0.85), ("rmat:10,8", 0.35)]
)
def test_generated_graphs_repeat_by_seed_and_can_be_learnt(spec, least):
    if spec == "digits":
        pytest.importorskip("sklearn")
    graph, again, other = load(spec, seed=1), load(spec, seed=1), load(spec, seed=2)
    assert (graph.adjacency != again.adjacency).nnz == 0
    assert np.array_equal(graph.train, again.train) and not np.array_equal(graph.train, other.train)
    assert (graph.adjacency != graph.adjacency.T).nnz == 0
    assert graph.adjacency.diagonal().sum() == 0 and set(graph.adjacency.data) == {1.0}
    assert not set(graph.train) & set(graph.test) and not set(graph.val) & set(graph.test)
    assert len(graph.train) + len(graph.val) + len(graph.test) == graph.nodes
    assert accuracy_of_least_squares(graph, gcn_norm(graph.adjacency)) > least


def test_digits_have_the_promised_split():
    pytest.importorskip("sklearn")
    graph = load("digits")
    assert graph.features.shape == (1797, 64) and graph.features.max() == 1.0
    assert np.bincount(graph.labels[graph.train]).tolist() == [10] * 10
    assert np.bincount(graph.labels[graph.val]).tolist() == [30] * 10
    assert np.diff(graph.adjacency.indptr).min() >= 8


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"pip install 'gcnloom\[data\]'"):
        load("digits")


def test_rmat_degrees_follow_a_power_law():
    graph = load("rmat:11,16")
    degree = np.diff(graph.adjacency.indptr)
    assert graph.nodes == 2048 and graph.features.shape == (2048, 64)
    assert 8 < degree.mean() <= 16 and degree.max() > 12 * degree.mean()
    assert np.bincount(graph.labels).min() > 50


def test_communities_have_the_degree_and_the_hubs_that_they_promise():
    graph = load("community:2000,20,30,5", seed=4)
    degree = np.diff(graph.adjacency.indptr)
    assert degree.sum() == 2000 * 20 and degree.max() > 5 * np.median(degree)
    assert abs(graph.adjacency - graph.adjacency.T).nnz == 0
    assert not graph.adjacency.diagonal().any()
    row, column = graph.adjacency.nonzero()
    assert 0.75 < (graph.labels[row] == graph.labels[column]).mean() < 0.9
    assert not (np.diff(graph.labels) >= 0).all()
    assert graph.features.shape == (2000, 30)
    again = load("community:2000,20,30,5", seed=4)
    assert (again.adjacency != graph.adjacency).nnz == 0
    assert np.array_equal(again.features, graph.features)
    means = np.array([graph.features[graph.labels == label].mean(axis=0) for label in range(5)])
    assert means.std() > 0.5


@pytest.mark.parametrize(
    "spec", ["sbm:1,1", "sbm:7,7", "rmat:1,1", "community:4,1,1,1", "community:40,10,3,40"]
)
def test_the_smallest_graphs_can_be_made(spec):
    assert load(spec).nodes >= 1


@pytest.mark.skipif(not CORA.exists(), reason=f"{CORA} is not here")
def test_cora_is_the_public_split():
    graph = load(str(CORA))
    assert (graph.name, graph.nodes, graph.adjacency.nnz) == ("cora", 2708, 10556)
    assert graph.features.shape == (2708, 1433) and set(graph.features.data) == {1.0}
    assert (len(graph.train), len(graph.val), len(graph.test)) == (140, 500, 1000)
    rows = load(str(CORA), row_normalise=True).features.sum(axis=1)
    assert np.allclose(rows[rows > 0], 1.0)


def test_a_file_with_dense_or_sparse_features_and_weights_is_read(tmp_path):
    dense = load(save(tmp_path / "dense.npz", adj_data=np.array([0.5, 2.0])))
    assert dense.adjacency.toarray().tolist() == [[0.0, 0.5], [2.0, 0.0]]
    sparse = load(
        save(
            tmp_path / "sparse.npz",
            drop=["feat"],
            feat_indptr=np.array([0, 1, 1]),
            feat_indices=np.array([2]),
            feat_data=np.array([3.0]),
            feat_shape=np.array([2, 4]),
        )
    )
    assert sparse.features.toarray().tolist() == [[0, 0, 3.0, 0], [0, 0, 0, 0]]
    halves = load(str(tmp_path / "dense.npz"), row_normalise=True).features
    assert halves.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_missing_keys_are_all_listed(tmp_path):
    path = save(tmp_path / "x.npz", drop=["labels", "val_idx"])
    with pytest.raises(DataError, match=r"lacks labels, val_idx \(it has adj_indices"):
        load(path)
    path = save(tmp_path / "y.npz", drop=["feat"])
    with pytest.raises(DataError, match="lacks feat_indptr, feat_indices, feat_data, feat_shape"):
        load(path)


def test_broken_files_say_how(tmp_path):
    whole = Path(save(tmp_path / "whole.npz", feat=np.random.default_rng(0).random((2, 999))))
    for kept in (0, 10, 3000, whole.stat().st_size - 8):
        cut = tmp_path / "cut.npz"
        cut.write_bytes(whole.read_bytes()[:kept])
        with pytest.raises(DataError, match=r"cut\.npz (is damaged|holds pickled|cannot be read)"):
            load(str(cut))
    with pytest.raises(DataError, match="holds pickled objects"):
        load(save(tmp_path / "pickle.npz", labels=np.array([{}, {}], dtype=object)))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"no \.npz file"):
        load(str(tmp_path / "text.npz"))
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.eye(2))
    with pytest.raises(DataError, match="single array"):
        load(str(tmp_path / "array.npz"))
    with pytest.raises(DataError, match="No such file"):
        load(str(tmp_path / "absent.npz"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adj_indices": np.array([1, 2])}, "are no .* CSR matrix"),
        ({"adj_indptr": np.array([0, 2, 1])}, "are no .* CSR matrix"),
        ({"adj_indices": np.array([1, -1])}, "are no .* CSR matrix"),
        ({"train_idx": np.array([5])}, "train names node 5"),
        ({"labels": np.array([0, 1, 2])}, r"labels have shape \(3,\)"),
    ],
)
def test_contents_that_do_not_fit_are_named(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        load(save(tmp_path / "x.npz", **change))


@pytest.mark.parametrize(
    "spec",
    [
        "mnist", "sbm:5", "sbm:a,b", "rmat:99,3", "sbm:2,5", "rmat:4,0", "community:40,2,3",
        "community:40,11,3,2", "community:4,1,0,1",
    ],
)  # fmt: skip
def test_specs_that_make_no_sense_say_what_to_try(spec):
    with pytest.raises(DataError, match=spec) as caught:
        load(spec)
    assert caught.value.remedy
