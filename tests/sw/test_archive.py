# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes a file holds, reading it ends with arrays or with one kind of error."""

import numpy as np
import pytest

from gcnloom.archive import ArchiveError, read_arrays


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("seed", [0, 1])
def test_damaged_bytes_raise_nothing_but_archive_errors(tmp_path, save, seed):
    path, rng = tmp_path / "arrays.npz", np.random.default_rng(seed)
    save(path, numbers=np.arange(5), text=np.array("text"), real=np.eye(3))
    data, refused = path.read_bytes(), 0
    for _ in range(400):
        damaged = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(len(data), size=rng.integers(1, 4))
        damaged[places] = rng.integers(256, size=len(places))
        path.write_bytes(damaged[: None if rng.random() < 0.8 else rng.integers(len(data))])
        try:
            read_arrays(path)
        except ArchiveError as error:
            refused += 1
            assert str(error)
            assert "\n" not in str(error)
    assert refused > 100


def test_arrays_come_back_by_name(tmp_path):
    np.savez(tmp_path / "arrays.npz", one=np.ones(2), text=np.array("text"))
    arrays = read_arrays(tmp_path / "arrays.npz")
    assert arrays.keys() == {"one", "text"}
    assert arrays["one"].tolist() == [1.0, 1.0]
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "missing.npz")
    with pytest.raises(ArchiveError, match="no path"):
        read_arrays("nul\0.npz")
