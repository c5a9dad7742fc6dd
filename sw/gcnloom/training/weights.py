# SPDX-License-Identifier: Apache-2.0
"""A network's weights: the first, as operands, and as an .npz file of plain numbers."""

import hashlib
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcnloom.archive import ArchiveError, read_arrays
from gcnloom.errors import CheckpointError
from gcnloom.layers import Network
from gcnloom_spec.number import exponent_for, quantise

__all__ = [
    "first_weights",
    "load_weights",
    "require_shapes",
    "save_weights",
    "weight_operands",
    "weights_sha256",
    "whole_weights",
]

Array = NDArray[np.float64]


def save_weights(path: str | Path, weights: list[Array], width: int) -> None:
    """Write ``weights1``, ``weights2``... of shape (inner, outer) as float64.

    Beside each lies ``exponent1``...: the power of two of which its mantissas are multiples on a
    device whose operands have `width` bits.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for layer, array in enumerate(weights, start=1):
        arrays[f"weights{layer}"] = array
        arrays[f"exponent{layer}"] = np.array(exponent_for(array, width))
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.getvalue())
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path} ({error.strerror or error}); try another --save-weights path"
        ) from error


def load_weights(path: str | Path) -> list[Array]:
    """Read the weights of every layer; exponents need not be there.

    Raises
    ------
    CheckpointError
        The file cannot be read, has no weights, or has some that do not follow each other.
    """
    try:
        parts = read_arrays(path)
    except (OSError, ArchiveError) as error:
        raise CheckpointError(
            f"cannot read weights from {path} ({error}); try a file of --save-weights"
        ) from error
    count = sum(name.rstrip("0123456789") == "weights" for name in parts)
    names = [f"weights{layer}" for layer in range(1, count + 1)]
    if not count or not set(names) <= set(parts):
        raise CheckpointError(
            f"{path} has {', '.join(sorted(parts)) or 'nothing'}, not weights1, weights2...; "
            "try a file of --save-weights"
        )
    weights = [parts[name] for name in names]
    for name, array in zip(names, weights, strict=True):
        if array.ndim != 2 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise CheckpointError(
                f"{name} of {path} is {array.dtype} of shape {array.shape}, no matrix of finite "
                "numbers; try a file of --save-weights"
            )
    for (before, first), (name, second) in pairwise(zip(names, weights, strict=True)):
        # A root term's weights lie below the others.
        if second.shape[0] not in (first.shape[1], 2 * first.shape[1]):
            raise CheckpointError(
                f"{before} of {path} is {first.shape} and {name} {second.shape}, which do not "
                "follow each other; try a file of --save-weights"
            )
    return [array.astype(np.float64) for array in weights]


def require_shapes(weights: list[Array], network: Network) -> None:
    """Refuse weights of another network."""
    wanted, there = [*network.weight_shapes], [array.shape for array in weights]
    if there != wanted:
        raise CheckpointError(
            f"the weights are of shapes {there} and the network's {wanted}; "
            "try --model, --hidden and --layers of the training that they come from"
        )


def whole_weights(network: Network, layer: int, trained: Array) -> Array:
    """Weights of a layer as the device has them: with an identity below, where it adds its input.

    Parameters
    ----------
    network : Network
    layer : int
        From 1 on.
    trained : NDArray[np.float64]
        As `network.weight_shapes` says.
    """
    return np.vstack([trained, np.eye(*trained.shape)]) if network.identity(layer) else trained


def first_weights(network: Network, seed: int) -> list[Array]:
    """Weights drawn uniformly as Glorot and Bengio (2010) do, one array a layer.

    Root weights of a layer that adds its input have the identity in them from the start: so they
    are those of ``H V + H``, at no cost.
    """
    rng = np.random.default_rng(seed)
    weights = []
    for layer, (rows, outer) in enumerate(network.weight_shapes, start=1):
        inner = network.widths[layer - 1]
        drawn = rng.uniform(-1, 1, (rows, outer)) * np.sqrt(6 / (inner + outer))
        if network.adds(layer) and network.trains_root:
            drawn[inner:] += np.eye(inner, outer)
        weights.append(drawn)
    return weights


def weights_sha256(weights: list[Array]) -> str:
    """Digest of the weights' float64 bytes, layer after layer."""
    return hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest()


def weight_operands(
    network: Network, weights: list[Array], kept: float, width: int
) -> list[tuple[NDArray[np.int64], int]]:
    """Mantissas and exponent of each layer's weights, as operands of `width` bits.

    Those of later layers carry ``1 / kept``, what dropout's survivors are divided by.
    """
    operands = []
    for layer, array in enumerate(weights, start=1):
        scaled = whole_weights(network, layer, array) / (kept if layer > 1 else 1.0)
        exponent = exponent_for(scaled, width)
        operands.append((quantise(scaled, exponent, width), exponent))
    return operands
