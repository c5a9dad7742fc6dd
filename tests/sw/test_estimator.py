# SPDX-License-Identifier: Apache-2.0
"""GCN fits, predicts and scores as scikit-learn's estimators do."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.errors import CheckpointError, ConfigError, DataError, LoomError
from gcnloom.estimator import GCN
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from tests.sw.graphs import block_model

GRAPH = block_model(60)
SETTINGS = {"hidden": 4, "device": "model:odd", "epochs": 5, "lr": 0.05, "memory_megabytes": 8}
PARTS = (GRAPH.adjacency, GRAPH.features, GRAPH.labels)


def fitted(**changes):
    return GCN(**SETTINGS | changes).fit(*PARTS, train=GRAPH.train, val=GRAPH.val)


def mask(nodes):
    return np.isin(np.arange(GRAPH.nodes), nodes)


def test_fitting_is_training():
    model = fitted(seed=4)
    with open_device("model:odd", memory_megabytes=8) as device:
        trainer = trainer_for(GRAPH, Options(hidden=4, epochs=5, lr=0.05, seed=4), device)
        trainer.run()
        logits = trainer.engine.logits(trainer.best)
    assert model.history_ == [asdict(epoch) for epoch in trainer.history]
    assert all(np.array_equal(*pair) for pair in zip(model.weights_, trainer.best, strict=True))
    assert np.array_equal(model.decision_function(), logits)
    assert np.array_equal(model.predict(), model.classes_[logits.argmax(axis=1)])
    assert model.result_["accuracy"]["val"] == model.score(GRAPH.labels, GRAPH.val)
    assert model.result_["seconds"]["host"] > 0


def test_scores_are_shares_of_right_predictions():
    model = fitted(epochs=1)
    right = model.predict() == GRAPH.labels
    assert model.score(GRAPH.labels) == right.mean()
    assert model.score(list(GRAPH.labels), [3, 3, 5]) == right[[3, 3, 5]].mean()
    assert model.score(GRAPH.labels, mask([0, 9])) == right[[0, 9]].mean()


def test_masks_and_indices_mean_the_same():
    model = fitted()
    masks = GCN(**SETTINGS).fit(
        *PARTS, train=list(mask(GRAPH.train)), val=mask(GRAPH.val)
    )  # fmt: skip
    indices = GCN(**SETTINGS).fit(
        *PARTS, train=np.sort(GRAPH.train).tolist(), val=np.sort(GRAPH.val)
    )
    assert masks.history_ == indices.history_
    assert masks.history_[0]["loss"] == pytest.approx(model.history_[0]["loss"])


def test_lists_and_dense_arrays_are_taken():
    dense = GRAPH.adjacency.toarray(), GRAPH.features.toarray()
    arrays = GCN(**SETTINGS).fit(*dense, GRAPH.labels, train=GRAPH.train)
    lists = GCN(**SETTINGS).fit(
        *(array.tolist() for array in dense), GRAPH.labels.tolist(), train=GRAPH.train.tolist()
    )
    assert arrays.history_ == lists.history_
    assert np.array_equal(arrays.predict(*dense), lists.predict(*map(np.ndarray.tolist, dense)))


def test_the_callers_arrays_are_left_as_they_are():
    duplicates = csr_array(
        (np.ones(4), np.array([1, 1, 0, 2]), np.array([0, 2, 4, 4])), shape=(3, 3)
    )
    features, labels, train = np.eye(3), np.array([0, 1, -1]), np.array([True, True, False])
    arrays = [duplicates.data, duplicates.indices, duplicates.indptr, features, labels, train]
    before = [array.copy() for array in arrays]
    model = GCN(**SETTINGS).fit(duplicates, features, labels, train=train)
    model.predict(duplicates, features)
    assert all(np.array_equal(*pair) for pair in zip(arrays, before, strict=True))
    assert duplicates.nnz == 4


def test_another_graph_is_predicted_with_the_same_weights():
    model = fitted()
    order = np.random.default_rng(0).permutation(GRAPH.nodes)
    logits = model.decision_function(GRAPH.adjacency[order][:, order], GRAPH.features[order])
    assert np.array_equal(logits, model.decision_function()[order])
    with pytest.raises(CheckpointError, match=r"takes 32 features and 'graph' has 2; try"):
        model.predict(np.eye(3), np.ones((3, 2)))
    for wrong in ((GRAPH.adjacency, None), (None, GRAPH.features)):
        with pytest.raises(DataError, match="try both, or neither"):
            model.predict(*wrong)
    for features in (3.0, [], np.ones((5, 32))):
        with pytest.raises(DataError, match="try"):
            model.predict(np.eye(3), features)


def test_nothing_is_known_before_fitting(tmp_path):
    model = GCN(**SETTINGS)
    for ask in (model.predict, model.decision_function, lambda: model.score([1])):
        with pytest.raises(LoomError, match="no weights yet; try fit first"):
            ask()
    with pytest.raises(LoomError, match="no weights yet; try fit first"):
        model.save(tmp_path / "model.npz")
    assert not hasattr(model, "history_")


def test_wrong_options_and_data_are_refused():
    with pytest.raises(ConfigError, match="epochs=0"):
        GCN(epochs=0)
    with pytest.raises(TypeError, match="depth"):
        GCN(depth=3)
    model = GCN(**SETTINGS)
    wrong = [
        ({"train": []}, "no training nodes"),
        ({"train": [60]}, "train names node 60"),
        ({"train": [0.5]}, "train is float64"),
        ({"train": mask([1])[:9]}, r"mask train has shape \(9,\); try .* 60 nodes"),
        ({"train": [1], "val": np.ones((60, 1), bool)}, r"mask val has shape \(60, 1\)"),
    ]
    for splits, message in wrong:
        with pytest.raises(DataError, match=message):
            model.fit(*PARTS, **splits)
    with pytest.raises(DataError, match="labels"):
        model.fit(GRAPH.adjacency, GRAPH.features, 3, train=[0])
    with pytest.raises(DataError, match="nan"):
        model.fit(GRAPH.adjacency, GRAPH.features * np.nan, GRAPH.labels, train=[0])


def test_impossible_scores_are_refused():
    model = fitted(epochs=1)
    with pytest.raises(DataError, match=r"labels have shape \(59,\); try one for each of 60"):
        model.score(GRAPH.labels[1:])
    for nodes in ([], [60], [-1], mask([])):
        with pytest.raises(DataError, match=r"none or outside 0\.\.59"):
            model.score(GRAPH.labels, nodes)


def test_a_saved_model_resumes_to_the_same_bits(tmp_path):
    fitted(epochs=2).save(tmp_path / "model.npz")
    model = GCN(**SETTINGS).fit(
        *PARTS, train=GRAPH.train, val=GRAPH.val, resume=tmp_path / "model.npz"
    )
    whole = fitted()
    assert model.history_ == whole.history_
    assert np.array_equal(model.decision_function(), whole.decision_function())


def test_an_interrupted_fit_keeps_what_was_learnt_and_can_be_resumed(tmp_path):
    def interrupt(epoch):
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    model = GCN(**SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*PARTS, train=GRAPH.train, val=GRAPH.val, progress=interrupt)
    assert model.predict().shape == (60,)
    model.save(tmp_path / "model.npz")
    splits = {"train": GRAPH.train, "val": GRAPH.val}
    resumed = GCN(**SETTINGS).fit(*PARTS, **splits, resume=tmp_path / "model.npz")
    assert resumed.history_ == fitted().history_


def test_an_open_device_stays_open_and_a_named_one_is_closed(monkeypatch):
    closed, close = [], Device.close
    monkeypatch.setattr(Device, "close", lambda device: (closed.append(1), close(device)))
    with open_device("model:odd", memory_megabytes=8) as device:
        model = fitted(device=device)
        again = fitted(device=device)
        assert closed == []
        assert np.array_equal(model.predict(), again.predict())
        assert device.gemm([[2]], [[3]]).item() == 6
    assert closed == [1]
    fitted().predict()
    assert len(closed) == 3
    with pytest.raises(DataError):
        GCN(**SETTINGS).fit(*PARTS, train=[])
    assert len(closed) == 4
