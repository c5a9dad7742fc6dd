# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: one .npz file without pickles, written whole or not at all."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.archive import ArchiveError, read_arrays
from gcnloom.errors import CheckpointError

__all__ = ["Checkpoint", "load_checkpoint", "require_ordinary", "save_checkpoint"]

FORMAT = 1
OTHERS = {
    "gist": "by sub-networks; try it with --parallel gist",
    "pipeline": "with stale rows; try its --parallel, --workers, --staleness and --chunks",
}
"""Trainings that only one of their own kind continues, by what their state has."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """State of a training run.

    Attributes
    ----------
    arrays : dict[str, NDArray]
        ``weights0``..., ``best0``..., ``model0``..., the optimiser's under ``optimiser.``, and as
        bytes what stale workers have yet to use, ``pipe0``...
    meta : dict
        What JSON can hold: epoch, history, options, scales, and what the run belongs to.
    """

    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]

    def group(self, name: str) -> list[NDArray[np.float64]]:
        """Arrays ``name0``, ``name1``... in order."""
        count = sum(key.rstrip("0123456789") == name for key in self.arrays)
        return [self.arrays[f"{name}{index}"] for index in range(count)]

    def prefixed(self, prefix: str) -> dict[str, NDArray[np.float64]]:
        """Arrays whose names start with `prefix`, without it."""
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a failure or an interruption leaves the file there was."""
    path = Path(path)
    meta = json.dumps({"format": FORMAT} | checkpoint.meta, sort_keys=True)
    content = io.BytesIO()
    members: dict[str, Any] = {f"array.{name}": array for name, array in checkpoint.arrays.items()}
    members |= {"meta": np.array(meta), "digest": np.array(_digest(checkpoint.arrays, meta))}
    np.savez_compressed(content, **members)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content.getvalue())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path} ({error.strerror or error}); try another --checkpoint path"
        ) from error
    finally:
        with suppress(OSError):  # of a folder that is none; the error above says so
            partial.unlink()


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read what :func:`save_checkpoint` wrote.

    Raises
    ------
    CheckpointError
        The file cannot be read, is truncated, damaged or of another format.
    """
    name = str(path)
    try:
        parts = read_arrays(path)
    except OSError as error:
        raise CheckpointError(
            f"cannot read checkpoint {name} ({error.strerror}); "
            "try the path of a finished or interrupted training"
        ) from error
    except ArchiveError as error:
        raise CheckpointError(
            f"checkpoint {name} is truncated, damaged or none ({error}); "
            "try an earlier copy, or train again"
        ) from error
    if not {"meta", "digest"} <= set(parts):
        raise CheckpointError(
            f"{name} is no checkpoint (it has {', '.join(sorted(parts)) or 'nothing'}); "
            "try a file written by `gcnloom train`"
        )
    arrays = {
        key.removeprefix("array."): array
        for key, array in parts.items()
        if key.startswith("array.")
    }
    text = str(parts["meta"])
    if _digest(arrays, text) != str(parts["digest"]):
        raise CheckpointError(
            f"checkpoint {name} does not match its digest; try an earlier copy, or train again"
        )
    meta: dict[str, Any] = json.loads(text)
    if meta.pop("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint {name} is of another version of gcnloom; try the version that wrote it"
        )
    return Checkpoint(arrays=arrays, meta=meta)


def require_ordinary(meta: Mapping[str, Any]) -> None:
    """Raise CheckpointError about a state that has more than weights, optimiser and scales."""
    for name, what in OTHERS.items():
        if name in meta:
            raise CheckpointError(f"the checkpoint is of a training {what}")


def _digest(arrays: Mapping[str, NDArray[Any]], meta: str) -> str:
    state = hashlib.sha256(meta.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        state.update(array.tobytes())
    return state.hexdigest()
