# SPDX-License-Identifier: Apache-2.0
"""What a parallel training came to: bytes beside their formulae, and how evenly work was dealt."""

from collections.abc import Mapping, Sequence
from typing import Any

from gcnloom.graphs.partition import node_parts
from gcnloom.parallel.costs import Volume, mop_bytes, partition_bytes
from gcnloom.parallel.engine import KINDS
from gcnloom.parallel.memory import memory_by_rank
from gcnloom.parallel.shared import SharedPasses
from gcnloom.parallel.trainer import ParallelTrainer
from gcnloom.parallel.worker import ENGINES

__all__ = ["compared", "epoch_macs", "imbalance", "loads", "summary"]


def imbalance(loads: Sequence[float]) -> float:
    """Largest load over the mean; 1 where all are zero.

    Examples
    --------
    >>> imbalance([3, 1, 2])
    1.5
    """
    total = sum(loads)
    return max(loads) * len(loads) / total if total else 1.0


def compared(
    measured: Mapping[str, float], formula: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Bytes by class of message, as they were counted and as they should be."""
    return {kind: {"measured": measured[kind], "formula": formula[kind]} for kind in measured}


def loads(per_worker: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return loads by rank, and of each kind the largest over the mean."""
    uneven = {name: imbalance(each) for name, each in per_worker.items()}
    return {"per_worker": per_worker, "imbalance": uneven}


def epoch_macs(engine: SharedPasses) -> list[int]:
    """Multiplications of a mean forward and backward pass on this device, by engine."""
    return [
        sum(
            engine.macs[part][name] // max(1, engine.runs[part]) for part in ("forward", "backward")
        )
        for name in ENGINES
    ]


def summary(trainer: ParallelTrainer) -> dict[str, Any]:
    """Summarise what the workers exchanged and did; all call it together.

    Returns
    -------
    dict
        ``bytes_per_epoch`` of the last epoch, by class of message ``measured`` and by
        ``formula``; ``overlap``: those of them that travelled while the sender's device
        multiplied, ``hidden``, and the others, ``waited_for``; ``staleness`` that was
        ``allowed``, and ``exchanges`` of training by the age in epochs of what came from others;
        ``per_worker``: ``bytes`` sent in the last epoch, and ``sparse_macs`` and ``dense_macs``
        of a forward and a backward pass, by rank; ``imbalance``: of each the largest over the
        mean; ``memory``: bytes of device memory by rank, see
        :func:`gcnloom.parallel.memory.memory_by_rank`. Numbers as JSON has them.
    """
    communicator, link, allowed = trainer.communicator, trainer.engine.link, trainer.pipeline
    mine = [trainer.last.sent[kind] for kind in KINDS]
    ages = [link.ages[age] for age in range(max(link.ages, default=0) + 1)]
    rows = communicator.table(
        "end", [*mine, *epoch_macs(trainer.engine), trainer.last.hidden.total(), *ages]
    )
    measured = dict(zip(KINDS, rows[:, : len(KINDS)].sum(axis=0).tolist(), strict=True))
    per_worker = {"bytes": rows[:, : len(KINDS)].sum(axis=1).tolist()}
    per_worker |= {
        f"{name}_macs": rows[:, len(KINDS) + index].tolist() for index, name in enumerate(ENGINES)
    }
    hidden, *every = rows[:, len(KINDS) + len(ENGINES) :].sum(axis=0).tolist()
    return {
        "mode": trainer.mode,
        "workers": communicator.size,
        "bytes_per_epoch": compared(measured, _formula(trainer)),
        "chunks": allowed.chunks,
        "overlap": {"hidden": hidden, "waited_for": sum(per_worker["bytes"]) - hidden},
        "staleness": {
            "allowed": allowed.staleness,
            "exchanges": {str(age): count for age, count in enumerate(every) if count},
        },
        **loads(per_worker),
        "memory": memory_by_rank(trainer.engine.device, communicator),
    }


def _formula(trainer: ParallelTrainer) -> dict[str, float]:
    engine, graph, size = trainer.engine, trainer.graph, trainer.communicator.size
    volume = Volume.of(engine.network, engine.rows, graph.nodes, size, engine.device.config)
    runs, val = trainer.last.runs, len(graph.val) > 0
    if trainer.mode == "mop":
        return mop_bytes(volume, runs, val=val)
    membership = node_parts(graph.adjacency, size)[engine.graph.order]
    return partition_bytes(volume, engine.graph.adjacency, membership, runs, val=val)
