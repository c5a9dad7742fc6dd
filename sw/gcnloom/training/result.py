# SPDX-License-Identifier: Apache-2.0
"""What a training run came to, as numbers that JSON can hold."""

import time
from collections import Counter
from typing import Any

from gcnloom.training.passes import PASSES, Passes
from gcnloom.training.trainer import FullBatch
from gcnloom.training.weights import weights_sha256
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Unit

__all__ = ["result", "stream_bytes", "unit_cycles"]


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
    graph, engine, options = trainer.graph, trainer.engine, trainer.options
    sizes = engine.device.config
    logits = engine.logits(trainer.best)
    splits = {"train": graph.train, "val": graph.val, "test": graph.test}
    total: Counter[str] = sum(engine.totals().values(), Counter())
    epochs = engine.runs["training"]
    macs = _macs(engine, total, sizes)
    cycles = total["cycles"]
    capacity = cycles * engine.multipliers
    seconds = time.perf_counter() - begin
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
        "multipliers": engine.multipliers,
        "master_width": sizes.master_width,
        "epochs": len(trainer.history),
        "stopped_early": trainer.stopped_early,
        "seed": options.seed,
        "options": options.as_dict(),
        "loss": [epoch.loss for epoch in trainer.history],
        "validation": [epoch.val for epoch in trainer.history],
        "accuracy": {name: trainer.judge.accuracy(logits, nodes) for name, nodes in splits.items()},
        "cycles": {"total": cycles or None, "per_epoch": _per_epoch(trainer) or None},
        "macs": macs,
        "effective_utilisation": macs["necessary"] / capacity if capacity else None,
        "receptive_field": list(engine.graph.seen),
        "lost_edges": engine.graph.lost_edges,
        "saturations": sum(epoch.saturations for epoch in trainer.history) + engine.saturations,
        "clipped_weights": trainer.clipped,
        "host_bytes_per_epoch": engine.link_bytes / epochs if epochs else None,
        "bytes": stream_bytes(total, sizes),
        "units": unit_cycles(total),
        "weights_sha256": weights_sha256(trainer.weights),
        "model_sha256": weights_sha256(trainer.best),
        "seconds": {
            "total": seconds,
            "build": build,
            "device": engine.seconds,
            "host": seconds - build - engine.seconds,
        },
    }


def _macs(engine: Passes, total: Counter[str], sizes: AcceleratorConfig) -> dict[str, Any]:
    """Multiplications of all runs and of an epoch, by how they are counted."""
    counts = {
        "necessary": engine.necessary_macs,
        "unsampled": engine.unsampled_macs,
    }
    return {
        **{
            name: sum(macs[part] * engine.runs[part] for part in PASSES)
            for name, macs in counts.items()
        },
        "executed": total["edges"] * sizes.lanes
        + total["transform_rows"] * sizes.rows * sizes.columns,
        "per_epoch": {name: macs["forward"] + macs["backward"] for name, macs in counts.items()},
    }


def _per_epoch(trainer: FullBatch) -> int:
    engine = trainer.engine
    if engine.runs["training"]:
        return round(engine.counters["training"]["cycles"] / engine.runs["training"])
    return sum(
        round(engine.counters[name]["cycles"] / max(1, engine.runs[name]))
        for name in ("forward", "backward")
    )


def stream_bytes(total: Counter[str], sizes: AcceleratorConfig) -> dict[str, int]:
    """Bytes between the accelerator and its memory, by stream."""
    streams = {
        name.removesuffix("_words"): count * sizes.memory_bytes
        for name, count in total.items()
        if name.endswith("_words")
    }
    written = streams.get("store", 0) + streams.get("update", 0)
    return {"read": sum(streams.values()) - written, "written": written} | streams


def unit_cycles(total: Counter[str]) -> dict[str, dict[str, int]]:
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
