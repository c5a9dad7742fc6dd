# SPDX-License-Identifier: Apache-2.0
"""What a training by sub-networks came to, as numbers that JSON can hold."""

import time
from collections import Counter
from typing import Any

import numpy as np

from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.parts import KINDS, round_bytes
from gcnloom.parallel.summary import imbalance
from gcnloom.training.result import stream_bytes, unit_cycles
from gcnloom.training.weights import weights_sha256
from gcnloom_spec.registers import COUNTERS

__all__ = ["gist_result"]

MACS = ("necessary", "unsampled")
MICRO = 1_000_000


def gist_result(
    trainer: GistTrainer, *, device: str, config: str, begin: float, build: float
) -> dict[str, Any]:
    """Summarise a finished training; all workers call it together, the first has the numbers.

    Parameters
    ----------
    trainer : GistTrainer
    device, config : str
        As the user named them.
    begin : float
        ``time.perf_counter()`` at the start.
    build : float
        Seconds until the first round.

    Returns
    -------
    dict
        As :func:`gcnloom.training.result.result` has it, of all devices and of local training
        alone, with these differences: ``epochs`` are each worker's; ``cycles.per_epoch`` are of
        a local epoch on the slowest device; ``loss`` is the sub-networks' mean. ``parallel``
        holds ``bytes_per_round`` by class of message, ``measured``, the mean of all rounds, and
        by ``formula``; ``per_worker`` bytes sent and necessary MACs, by rank; and ``imbalance``.
        Empty on other workers.
    """
    table = _gathered(trainer)
    if not trainer.leads:
        return {}
    graph, options, sizes = trainer.graph, trainer.options, trainer.device.config
    total = Counter(
        dict(zip(COUNTERS, table[:, : len(COUNTERS)].sum(axis=0).tolist(), strict=True))
    )
    macs = dict(
        zip(MACS, table[:, len(COUNTERS) : len(COUNTERS) + 2].sum(axis=0).tolist(), strict=True)
    )
    slowest = int(table[:, list(COUNTERS).index("cycles")].max())
    epochs = max(1, len(trainer.history))
    multipliers = sizes.multipliers * trainer.rounds.workers
    capacity = total["cycles"] * sizes.multipliers
    logits = trainer.logits(trainer.best)
    splits = {"train": graph.train, "val": graph.val, "test": graph.test}
    seconds = time.perf_counter() - begin
    running = int(table[0, -1]) / MICRO
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
        "multipliers": multipliers,
        "master_width": sizes.master_width,
        "epochs": len(trainer.history),
        "stopped_early": False,
        "seed": options.seed,
        "options": options.as_dict(),
        "loss": [epoch.loss for epoch in trainer.history],
        "validation": [epoch.val for epoch in trainer.history],
        "accuracy": {name: trainer.judge.accuracy(logits, nodes) for name, nodes in splits.items()},
        "cycles": {"total": total["cycles"] or None, "per_epoch": slowest // epochs or None},
        "macs": macs
        | {
            "executed": total["edges"] * sizes.lanes
            + total["transform_rows"] * sizes.rows * sizes.columns,
            "per_epoch": {name: count // epochs for name, count in macs.items()},
        },
        "effective_utilisation": macs["necessary"] / capacity if capacity else None,
        "receptive_field": list(trainer.seen),
        "lost_edges": trainer.lost_edges,
        "saturations": sum(epoch.saturations for epoch in trainer.history),
        "clipped_weights": dict(trainer.clipped),
        "host_bytes_per_epoch": None,
        "bytes": stream_bytes(total, sizes),
        "units": unit_cycles(total),
        "weights_sha256": weights_sha256(trainer.weights),
        "model_sha256": weights_sha256(trainer.best),
        "seconds": {
            "total": seconds, "build": build, "device": running,
            "host": seconds - build - running,
        },
        "parallel": _parallel(trainer, table),
    }  # fmt: skip


def _gathered(trainer: GistTrainer) -> Any:
    """Counters, necessary and unsampled MACs, bytes by class and microseconds, a row a worker."""
    communicator = trainer.communicator
    mine = [trainer.counters[name] for name in COUNTERS]
    mine += [trainer.macs[name] for name in MACS]
    mine += [communicator.sent[kind] for kind in KINDS]
    mine.append(round(trainer.seconds * MICRO))
    shapes = [(len(mine),)] * communicator.size
    return np.stack(communicator.all_gather("end", np.array(mine, dtype=np.int64), shapes))


def _parallel(trainer: GistTrainer, table: Any) -> dict[str, Any]:
    rounds = trainer.rounds
    sent = table[:, -1 - len(KINDS) : -1]
    trained = max(1, trainer.trained)
    measured = dict(zip(KINDS, (sent.sum(axis=0) / trained).tolist(), strict=True))
    weights = round_bytes(rounds, trainer.network.widths) / 2
    told = 24 * (rounds.workers - 1) * (rounds.local_epochs / rounds.count + 1)
    formula = dict(zip(KINDS, (weights, weights, told), strict=True))
    per_worker = {
        "bytes": sent.sum(axis=1).tolist(),
        "necessary_macs": table[:, len(COUNTERS)].tolist(),
    }
    return {
        "mode": "gist",
        "workers": rounds.workers,
        "rounds": rounds.count,
        "local_iterations": rounds.local_iterations,
        "bytes_per_round": {
            kind: {"measured": measured[kind], "formula": formula[kind]} for kind in KINDS
        },
        "per_worker": per_worker,
        "imbalance": {name: imbalance(loads) for name, loads in per_worker.items()},
    }
