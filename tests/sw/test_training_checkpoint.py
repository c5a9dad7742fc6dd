# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is whole or refused, and replacing one never loses the old."""

import os
import pickle

import numpy as np
import pytest

from gcnloom.errors import CheckpointError
from gcnloom.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def checkpoint(seed=0):
    rng = np.random.default_rng(seed)
    arrays = {f"weights{i}": rng.normal(size=(3, i + 1)) for i in range(12)}
    arrays["optimiser.steps"] = np.array(4.0)
    return Checkpoint(arrays=arrays, meta={"epoch": seed, "history": [1.5, None], "data": "sbm"})


def same(one, other):
    return (
        one.meta == other.meta
        and one.arrays.keys() == other.arrays.keys()
        and all(one.arrays[name].tobytes() == other.arrays[name].tobytes() for name in one.arrays)
        and all(one.arrays[name].shape == other.arrays[name].shape for name in one.arrays)
    )


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run.npz"
    save_checkpoint(path, checkpoint())
    return path


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path):
    path = tmp_path / "new" / "folder" / "run.npz"
    save_checkpoint(path, checkpoint())
    loaded = load_checkpoint(path)
    assert same(loaded, checkpoint())
    assert [array.shape[1] for array in loaded.group("weights")] == list(range(1, 13))
    assert loaded.prefixed("optimiser.").keys() == {"steps"}
    assert [entry.name for entry in path.parent.iterdir()] == ["run.npz"]


@pytest.mark.parametrize("kept", [0, 1, 3, 100, 0.3, 0.9, -1, -23])
def test_a_truncated_file_is_refused(saved, kept):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(CheckpointError, match=r"truncated.*; try") as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_is_noticed_or_changes_nothing(saved):
    data, refused = saved.read_bytes(), 0
    places = range(0, len(data), 5)
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        saved.write_bytes(flipped)
        try:
            # Times and attributes in the archive's directory mean nothing.
            assert same(load_checkpoint(saved), checkpoint())
        except CheckpointError:
            refused += 1
    assert refused > len(places) // 2


def test_changed_contents_do_not_match_the_digest(saved):
    with np.load(saved) as archive:
        parts = dict(archive)
    parts["array.weights3"] = parts["array.weights3"] + 1e-15
    np.savez(saved, **parts)
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load_checkpoint(saved)


def test_another_format_is_refused(saved, monkeypatch):
    monkeypatch.setattr("gcnloom.training.checkpoint.FORMAT", 2)
    with pytest.raises(CheckpointError, match="another version of gcnloom"):
        load_checkpoint(saved)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def test_pickles_are_never_loaded(tmp_path):
    plain, inside = tmp_path / "plain.npz", tmp_path / "inside.npz"
    plain.write_bytes(pickle.dumps(Bomb()))
    np.savez(inside, meta=np.array([Bomb()], dtype=object), digest=np.array("0"))
    for path in (plain, inside):
        with pytest.raises(CheckpointError, match="pickle"):
            load_checkpoint(path)


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    other, array, text = tmp_path / "other.npz", tmp_path / "array.npy", tmp_path / "text.npz"
    np.savez(other, weights0=np.ones(2))
    np.save(array, np.ones(2))
    text.write_text("hello", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"no checkpoint \(it has weights0\)"):
        load_checkpoint(other)
    with pytest.raises(CheckpointError, match="a single array"):
        load_checkpoint(array)
    for path in (text, tmp_path, tmp_path / "missing.npz"):
        with pytest.raises(CheckpointError, match="; try"):
            load_checkpoint(path)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_the_old_file_survives_a_write_that_fails(saved, monkeypatch, failure):
    def fail(_):
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    expected = CheckpointError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        save_checkpoint(saved, checkpoint(seed=1))
    assert same(load_checkpoint(saved), checkpoint())
    assert [entry.name for entry in saved.parent.iterdir()] == ["run.npz"]


def test_the_new_file_takes_the_place_of_the_old_in_one_step(saved):
    old = saved.read_bytes()
    with saved.open("rb") as reader:
        save_checkpoint(saved, checkpoint(seed=1))
        assert reader.read() == old
    assert same(load_checkpoint(saved), checkpoint(seed=1))


def test_a_folder_that_cannot_be_is_named(saved, tmp_path):
    for path in (saved / "below" / "file.npz", tmp_path):
        with pytest.raises(CheckpointError, match=r"cannot write .*; try another"):
            save_checkpoint(path, checkpoint())
