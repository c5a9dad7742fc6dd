# SPDX-License-Identifier: Apache-2.0
"""What a training by sub-networks came to, as numbers that JSON can hold."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.parts import KINDS, round_bytes
from gcnloom.parallel.rounds import GIST
from gcnloom.parallel.summary import compared, loads
from gcnloom.training.result import Account, document
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
    total = Counter(
        dict(zip(COUNTERS, table[:, : len(COUNTERS)].sum(axis=0).tolist(), strict=True))
    )
    macs = dict(
        zip(MACS, table[:, len(COUNTERS) : len(COUNTERS) + 2].sum(axis=0).tolist(), strict=True)
    )
    slowest = int(table[:, list(COUNTERS).index("cycles")].max())
    epochs, sizes = max(1, len(trainer.history)), trainer.device.config
    account = Account(
        total=total,
        macs=macs | {"per_epoch": {name: count // epochs for name, count in macs.items()}},
        multipliers=sizes.multipliers * trainer.rounds.workers,
        # Its cycles are those of all devices.
        capacity=total["cycles"] * sizes.multipliers,
        per_epoch=slowest // epochs,
        stopped_early=False,
        seen=trainer.seen,
        lost_edges=trainer.lost_edges,
        saturations=0,
        clipped=trainer.clipped,
        host_bytes=None,
        seconds=int(table[0, -1]) / MICRO,
    )
    numbers = document(
        trainer, account, trainer.logits(trainer.best), sizes, device=device, config=config,
        begin=begin, build=build,
    )  # fmt: skip
    return numbers | {"parallel": _parallel(trainer, table)}


def _gathered(trainer: GistTrainer) -> NDArray[np.int64]:
    """Counters, necessary and unsampled MACs, bytes by class and microseconds, a row a worker."""
    communicator = trainer.communicator
    mine = [trainer.counters[name] for name in COUNTERS]
    mine += [trainer.macs[name] for name in MACS]
    mine += [communicator.sent[kind] for kind in KINDS]
    mine.append(round(trainer.seconds * MICRO))
    return communicator.table("end", mine)


def _parallel(trainer: GistTrainer, table: NDArray[np.int64]) -> dict[str, Any]:
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
        "mode": GIST,
        "workers": rounds.workers,
        "rounds": rounds.count,
        "local_iterations": rounds.local_iterations,
        "bytes_per_round": compared(measured, formula),
        **loads(per_worker),
    }
