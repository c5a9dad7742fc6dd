# SPDX-License-Identifier: Apache-2.0
"""What a training run came to, as numbers that JSON can hold."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gcnloom.graphs.graph import Graph
from gcnloom.training.epoch import Epoch
from gcnloom.training.loss import Judge
from gcnloom.training.options import Options
from gcnloom.training.passes import PASSES, Passes
from gcnloom.training.trainer import FullBatch
from gcnloom.training.weights import weights_sha256
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Unit

__all__ = ["Account", "document", "result"]


def result(
    trainer: FullBatch, *, device: str, config: str, begin: float, build: float
) -> dict[str, Any]:
    """Summarise a finished training.

    Parameters
    ----------
    trainer : FullBatch
    device, config : str
        As the user named them.
    begin : float
        ``time.perf_counter()`` at the start.
    build : float
        Seconds until the first epoch: opening the device, a simulator's build included, and
        lowering.

    Returns
    -------
    dict
        ``accuracy`` is that of the weights kept, by split; ``cycles.per_epoch`` that of one
        forward and one backward pass, or where the device updates the weights, of all that it
        does for an epoch; ``clipped_weights`` counts weights and momenta that did not fit;
        ``host_bytes_per_epoch`` is what host and device exchange while the device trains;
        ``macs.necessary`` counts multiplications no exact engine
        could leave out, ``macs.unsampled`` those were every pass to compute all rows, and
        ``macs.per_epoch`` both for one forward and one backward pass;
        ``effective_utilisation`` is the share of the necessary ones in what all multipliers
        could do in all cycles; ``receptive_field`` counts the nodes that the training loss sees
        of the input and of each layer; ``lost_edges`` are too light for the operand width.
        Cycles and what follows from them are None on a device without a clock.
    """
    engine = trainer.engine
    logits = engine.logits(trainer.best)
    total: Counter[str] = sum(engine.totals().values(), Counter())
    epochs = engine.runs["training"]
    account = Account(
        total=total,
        macs=_macs(engine),
        multipliers=engine.multipliers,
        capacity=total["cycles"] * engine.multipliers,
        per_epoch=_per_epoch(trainer),
        stopped_early=trainer.stopped_early,
        seen=engine.graph.seen,
        lost_edges=engine.graph.lost_edges,
        saturations=engine.saturations,
        clipped=trainer.clipped,
        host_bytes=engine.link_bytes / epochs if epochs else None,
        seconds=engine.seconds,
    )
    return document(
        trainer, account, logits, engine.device.config, device=device, config=config,
        begin=begin, build=build,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Account:
    """What one or several devices did in a training.

    Parameters
    ----------
    total : Counter[str]
        Their counters.
    macs : dict
        ``necessary``, ``unsampled`` and ``per_epoch``.
    multipliers : int
    capacity : int
        Multiplications that there was time for.
    per_epoch : int
        Cycles of an epoch.
    stopped_early : bool
    seen : tuple of int
        Nodes that the loss sees, of the input and of each layer.
    lost_edges : int
    saturations : int
        Clipped results that no epoch counts.
    clipped : Mapping[str, int]
        Weights and momenta that did not fit.
    host_bytes : float or None
        Exchanged with the host in an epoch.
    seconds : float
        That the devices ran.
    """

    total: Counter[str]
    macs: Mapping[str, Any]
    multipliers: int
    capacity: int
    per_epoch: int
    stopped_early: bool
    seen: Sequence[int]
    lost_edges: int
    saturations: int
    clipped: Mapping[str, int]
    host_bytes: float | None
    seconds: float


class Trained(Protocol):
    """A finished training."""

    graph: Graph
    options: Options
    judge: Judge
    weights: list[NDArray[np.float64]]
    best: list[NDArray[np.float64]]
    history: list[Epoch]


def document(
    trained: Trained, account: Account, logits: NDArray[np.float64], sizes: AcceleratorConfig,
    *, device: str, config: str, begin: float, build: float,
) -> dict[str, Any]:  # fmt: skip
    """Return the numbers of a training, whose kept weights lead to these logits.

    The rest is as :func:`result` takes and returns it.
    """
    graph, options, total = trained.graph, trained.options, account.total
    splits = {"train": graph.train, "val": graph.val, "test": graph.test}
    seconds = time.perf_counter() - begin
    executed = total["edges"] * sizes.lanes + total["transform_rows"] * sizes.rows * sizes.columns
    return {
        "data": graph.name,
        "nodes": graph.nodes,
        "edges": int(graph.adjacency.nnz),
        "features": int(graph.features.shape[1]),
        "classes": graph.classes,
        "layers": options.layers,
        "device": device,
        "config": config,
        "config_digest": sizes.digest,
        "multipliers": account.multipliers,
        "master_width": sizes.master_width,
        "epochs": len(trained.history),
        "stopped_early": account.stopped_early,
        "seed": options.seed,
        "options": options.as_dict(),
        "loss": [epoch.loss for epoch in trained.history],
        "validation": [epoch.val for epoch in trained.history],
        "accuracy": {name: trained.judge.accuracy(logits, nodes) for name, nodes in splits.items()},
        "cycles": {"total": total["cycles"] or None, "per_epoch": account.per_epoch or None},
        "macs": {
            "necessary": account.macs["necessary"],
            "unsampled": account.macs["unsampled"],
            "executed": executed,
            "per_epoch": account.macs["per_epoch"],
        },
        "effective_utilisation": (
            account.macs["necessary"] / account.capacity if account.capacity else None
        ),
        "receptive_field": list(account.seen),
        "lost_edges": account.lost_edges,
        "saturations": sum(epoch.saturations for epoch in trained.history) + account.saturations,
        "clipped_weights": dict(account.clipped),
        "host_bytes_per_epoch": account.host_bytes,
        "bytes": _stream_bytes(total, sizes),
        "units": _unit_cycles(total),
        "weights_sha256": weights_sha256(trained.weights),
        "model_sha256": weights_sha256(trained.best),
        "seconds": {
            "total": seconds,
            "build": build,
            "device": account.seconds,
            "host": seconds - build - account.seconds,
        },
    }


def _macs(engine: Passes) -> dict[str, Any]:
    """Multiplications of all runs and of an epoch, by how they are counted."""
    counts = {
        "necessary": engine.necessary_macs,
        "unsampled": engine.unsampled_macs,
    }
    runs = {
        name: sum(macs[part] * engine.runs[part] for part in PASSES)
        for name, macs in counts.items()
    }
    each = {name: macs["forward"] + macs["backward"] for name, macs in counts.items()}
    return runs | {"per_epoch": each}


def _per_epoch(trainer: FullBatch) -> int:
    engine = trainer.engine
    if engine.runs["training"]:
        return round(engine.counters["training"]["cycles"] / engine.runs["training"])
    return sum(
        round(engine.counters[name]["cycles"] / max(1, engine.runs[name]))
        for name in ("forward", "backward")
    )


def _stream_bytes(total: Counter[str], sizes: AcceleratorConfig) -> dict[str, int]:
    """Bytes between the accelerator and its memory, by stream."""
    streams = {
        name.removesuffix("_words"): count * sizes.memory_bytes
        for name, count in total.items()
        if name.endswith("_words")
    }
    written = streams.get("store", 0) + streams.get("update", 0)
    return {"read": sum(streams.values()) - written, "written": written} | streams


def _unit_cycles(total: Counter[str]) -> dict[str, dict[str, int]]:
    """Cycles of each unit: moving data, stalled, and waiting for each other unit's tokens."""
    names = [unit.name.lower() for unit in Unit]
    return {
        name: {
            "active": total[f"{name}_active"],
            "stalled": total[f"{name}_stalled"],
            **{f"wait_{other}": total[f"{name}_wait_{other}"] for other in names},
        }
        for name in names
    }
