# SPDX-License-Identifier: Apache-2.0
"""What a sampled training came to: bytes beside their formulae, features fetched, loads."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.parallel.costs import COUNT_BYTES, LOSS_PARTS, all_reduce_bytes
from gcnloom.parallel.scheme import wire_type
from gcnloom.parallel.summary import compared, epoch_macs, loads
from gcnloom.parallel.worker import ENGINES
from gcnloom.sampling.trainer import MinibatchTrainer

__all__ = ["sampled_summary"]

KINDS = ("ids", "activations", "gradients", "weights", "statistics")
"""Classes of messages: vertices asked for, operands, sums of gradients, and what is reduced."""


def sampled_summary(trainer: MinibatchTrainer) -> dict[str, Any]:
    """Summarise what the workers exchanged, fetched and did; all call it together.

    Returns
    -------
    dict
        ``bytes_per_epoch`` of the last epoch, by class of message ``measured`` and by
        ``formula``; ``per_worker``: ``bytes`` sent in it, and ``sparse_macs`` and ``dense_macs``
        of a mean forward and backward pass, by rank; ``imbalance``: of each the largest over the
        mean; ``features``: rows of input features ``asked`` for and ``fetched``, and
        ``fetched_bytes``, of all workers and epochs; ``peak_device_memory``: bytes in use at most
        on a device while training; ``batches``: of the first worker, a processor's seconds
        ``making`` them and those that its device ``waited`` for one. Numbers as JSON has them.
    """
    rows = _gathered(trainer)
    kinds, expected, macs, fetched, peak = np.split(rows, [5, 8, 10, 13], axis=1)
    formula = dict(zip(KINDS, expected.sum(axis=0).tolist(), strict=False)) | _shared(trainer)
    measured = dict(zip(KINDS, kinds.sum(axis=0).tolist(), strict=True))
    per_worker = {"bytes": kinds.sum(axis=1).tolist()}
    per_worker |= {f"{name}_macs": macs[:, index].tolist() for index, name in enumerate(ENGINES)}
    return {
        "mode": trainer.mode,
        "workers": trainer.communicator.size,
        "sampling": trainer.sampling.as_dict(),
        "bytes_per_epoch": compared(measured, formula),
        **loads(per_worker),
        "features": dict(zip(trainer.engine.features, fetched.sum(axis=0).tolist(), strict=True)),
        "peak_device_memory": int(peak.max()),
        "batches": {"making": trainer.engine.making, "waited": trainer.engine.waited},
    }


def _gathered(trainer: MinibatchTrainer) -> NDArray[np.int64]:
    """Everybody's bytes sent by class, expected of blocks, MACs, rows fetched and peak memory."""
    engine = trainer.engine
    mine = [trainer.last.sent[kind] for kind in KINDS]
    mine += [trainer.last.expected[kind] for kind in KINDS[:3]]
    mine += epoch_macs(engine)
    mine += engine.features.values()
    mine += [engine.peak_words * engine.device.config.memory_bytes]
    return trainer.communicator.table("end", mine)


def _shared(trainer: MinibatchTrainer) -> dict[str, int]:
    """Bytes of the last epoch's reductions: weight gradients, and statistics of each pass."""
    network, last, size = trainer.engine.network, trainer.last, trainer.communicator.size
    widths = network.widths
    weights = sum(inner * outer for inner, outer in pairwise(widths))
    sums = wire_type(trainer.engine.device.config.sum_width).itemsize
    # Of each pass the envelopes of 2L - 1 tensors and what was clipped; losses forward and the
    # gradient's exponent backward; of a batch its weights' exponent and sums, and its accuracy.
    each = 2 * network.layers
    counts = last.runs["forward"] * (each + LOSS_PARTS) + last.runs["backward"] * (each + 1)
    counts += 3 * trainer.engine.batches.per_epoch
    counts += (trainer.history[-1].val is not None) * (1 + LOSS_PARTS)
    return {
        "weights": last.runs["backward"] * all_reduce_bytes(weights, sums, size),
        "statistics": all_reduce_bytes(counts, COUNT_BYTES, size),
    }
