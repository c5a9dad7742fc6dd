# SPDX-License-Identifier: Apache-2.0
"""Bytes of a round of sub-network training beside those of an all-reduce in each step (G4)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.launch import open_in_turn
from gcnloom.parallel.parts import round_bytes
from gcnloom.parallel.rounds import Rounds
from gcnloom.parallel.summary import summary
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.trainer import ParallelTrainer
from gcnloom.study.finding import Finding
from gcnloom.training.options import Options

__all__ = ["BYTES", "Moved", "byte_finding", "byte_rows", "moved_bytes"]

BYTES = (
    "workers", "ζ", "rounds", "measured, a round", "formula", "all-reduce, a step", "formula",
    "times fewer", "at ζ = 500",
)  # fmt: skip
LONG = 500
"""Local iterations of the statement."""
ALLOWED, FEWER = 0.01, 10


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Bytes that all workers together send.

    Attributes
    ----------
    workers, iterations, rounds : int
    measured, formula : float
        Weights of a round.
    reduced, reduced_formula : float
        Weight gradients of a step that all workers take together, as the mode `mop` does.
    """

    workers: int
    iterations: int
    rounds: int
    measured: float
    formula: float
    reduced: float
    reduced_formula: float

    def fewer(self, iterations: int) -> float:
        """How many times fewer a round of so many iterations sends; its bytes do not differ."""
        return iterations * self.reduced / self.measured


def moved_bytes(
    data: str, device: str, workers: Sequence[int], iterations: int, settings: Options,
    progress: Callable[[str], None],
) -> list[Moved]:  # fmt: skip
    """Train both ways with each number of workers, and count."""
    graph, found = datasets.load(data, seed=settings.seed), []
    widths = settings.network(graph.features.shape[1], graph.classes).widths
    for count in workers:
        progress(f"{data} on {count} workers")
        rounds, sent = _gist_bytes(graph, device, count, iterations, settings)
        reduced = _reduced_bytes(graph, device, count, settings)
        found.append(
            Moved(
                workers=count, iterations=iterations, rounds=rounds.count,
                measured=sent / rounds.count, formula=round_bytes(rounds, widths),
                reduced=reduced["measured"], reduced_formula=reduced["formula"],
            )
        )  # fmt: skip
    return found


def byte_rows(found: Sequence[Moved]) -> Iterator[tuple[object, ...]]:
    """Yield a row of :data:`BYTES` for each number of workers."""
    for each in found:
        yield (
            each.workers, each.iterations, each.rounds, f"{each.measured:,.0f}",
            f"{each.formula:,.0f}", f"{each.reduced:,.0f}", f"{each.reduced_formula:,.0f}",
            f"{each.fewer(each.iterations):.1f}", f"{each.fewer(LONG):,.0f}",
        )  # fmt: skip


def byte_finding(found: Sequence[Moved], command: str) -> Finding:
    """Say what the bytes say of G4."""
    apart = max(abs(each.measured / each.formula - 1) for each in found)
    least = min(each.fewer(LONG) for each in found)
    return Finding(
        statement="G4",
        verdict="shown" if apart <= ALLOWED and least > FEWER else "refuted",
        asked="bytes of a round are 2 (m - 1) |sub| within 1 %, more than 10 times fewer than an "
        f"all-reduce a step at ζ = {LONG}",
        measured=f"within {100 * apart:.2f} %; at least {least:,.0f} times fewer, "
        f"m = {', '.join(str(each.workers) for each in found)}",
        command=command,
    )  # fmt: skip


def _gist_bytes(
    graph: Graph, device: str, workers: int, iterations: int, settings: Options
) -> tuple[Rounds, int]:
    def work(communicator: Communicator) -> tuple[Rounds, int]:
        with open_in_turn(communicator, lambda: open_device(device)) as opened:
            trainer = GistTrainer(
                graph, settings, opened, communicator, local_iterations=iterations
            )
            trainer.run()
            sent = communicator.sent
            return trainer.rounds, sent["scatter"] + sent["gather"]

    results = run_threads(workers, work)
    return results[0][0], sum(sent for _, sent in results)


def _reduced_bytes(graph: Graph, device: str, workers: int, settings: Options) -> dict[str, float]:
    def work(communicator: Communicator) -> dict[str, float]:
        with open_in_turn(communicator, lambda: open_device(device)) as opened:
            trainer = ParallelTrainer(graph, settings, opened, communicator, mode="mop")
            trainer.run()
            moved: dict[str, float] = summary(trainer)["bytes_per_epoch"]["weights"]
            return moved

    return run_threads(workers, work)[0]
