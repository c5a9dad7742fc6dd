# SPDX-License-Identifier: Apache-2.0
"""How long a device waits for batches: a simulated one, and a board by its clock and its link."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gcnloom.device import Device, RunResult
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Alone
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Routine
from gcnloom.sampling.options import Sampling
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom.transport import connect
from gcnloom_sim.cycles import predict
from gcnloom_sim.measure.minibatch.figure import Figure
from gcnloom_sim.measure.minibatch.training import RECIPE

__all__ = ["WAITING", "waiting_rows"]

Say = Callable[[str], None]
Row = tuple[object, ...]
STEPS = 8
"""That are timed, after one that also finds the first scales."""
BITS_OF_A_BYTE = 10
"""On a serial line: eight, a start and a stop."""
WAITING = (
    "graph", "seeds", "device", "a batch is made in", "the device takes", "host beside",
    "waits, one after the other", "waits, ahead",
)  # fmt: skip


class _Watched(Device):
    """A simulated device that remembers what it ran, and the processor's seconds that took."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.programs: list[Program] = []
        self.seconds = 0.0

    def run(self, program: Program | Routine, *arguments: Any, **named: Any) -> RunResult:
        """Run and remember."""
        if isinstance(program, Program):
            self.programs.append(program)
        begin = time.thread_time()
        result = super().run(program, *arguments, **named)
        self.seconds += time.thread_time() - begin
        return result


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """What a step took.

    Attributes
    ----------
    making, device, beside : float
        Seconds of a processor: for its batch, to simulate the device, for the host beside.
    waited : float
        Share of the time in which the device waited for the sampler.
    cycles : float
        Predicted, if asked for.
    moved : float
        Bytes between host and device.
    """

    making: float
    device: float
    beside: float
    waited: float
    cycles: float
    moved: float


def waiting_rows(
    data: Sequence[str], batch: Callable[[Graph], int], devices: Sequence[str], clock: float,
    baud: float, say: Say,
) -> Iterator[Row]:  # fmt: skip
    """Time steps on devices, and model them on a board.

    Parameters
    ----------
    data : sequence of str
    batch : callable
        Seeds of a batch, of a graph.
    devices : sequence of str
        The first has no clock: what a board would take is predicted of its programs.
    clock, baud : float
        Hertz of a board, bits a second of its line.
    say : callable
    """
    for name in data:
        graph = datasets.load(name, seed=0)
        seeds = batch(graph)
        sampling = [
            Sampling(batch=seeds, fanout=(10, 10), evaluate_every=0, ahead=ahead)
            for ahead in (False, True)
        ]
        for number, device in enumerate(devices):
            say(f"{name} on {device}")
            alone, ahead = (_timed(graph, each, device, predicts=not number) for each in sampling)
            if not number:
                on_model = alone
            yield _row(name, seeds, device, alone, alone.waited, ahead.waited)
        for line, bits in ((f"line of {baud / 1e6:g} Mbaud", baud), ("link without delay", None)):
            board = _on_board(on_model, clock, bits)
            title = f"board, {clock / 1e6:g} MHz, {line}"
            busy = board.device + board.beside
            alone_waits = board.making / (board.making + busy)
            ahead_waits = max(0.0, board.making - busy) / max(board.making, busy)
            yield _row(name, seeds, title, board, alone_waits, ahead_waits)


def _timed(graph: Graph, sampling: Sampling, device: str, *, predicts: bool) -> _Steps:
    """Run a few steps and divide their time."""
    opened = _Watched(connect(device))
    with opened:
        trainer = MinibatchTrainer(
            graph, RECIPE, opened, Alone(), mode="minibatch", sampling=sampling
        )
        trainer.iterate(0)
        engine = trainer.engine
        opened.forget()
        making, waited, moved = engine.making, engine.waited, opened.window.moved.bytes
        begin, processor = time.perf_counter(), time.thread_time()
        for iteration in range(1, STEPS + 1):
            trainer.iterate(iteration)
        wall, processor = time.perf_counter() - begin, time.thread_time() - processor
        making, waited = engine.making - making, engine.waited - waited
        moved = opened.window.moved.bytes - moved
        programs = opened.programs if predicts else []
        cycles = sum(predict(program, opened.config).cycles for program in programs)
    # Where batches are made ahead it is another thread that does.
    beside = processor - opened.seconds - (0.0 if sampling.ahead else making)
    return _Steps(
        making=making / STEPS, device=opened.seconds / STEPS, beside=beside / STEPS,
        waited=waited / wall, cycles=cycles / STEPS, moved=moved / STEPS,
    )  # fmt: skip


def _on_board(steps: _Steps, clock: float, baud: float | None) -> _Steps:
    """Return the same on a board: its cycles, and what goes over the line."""
    line = steps.moved * BITS_OF_A_BYTE / baud if baud else 0.0
    return replace(steps, device=steps.cycles / clock + line)


def _row(name: str, seeds: int, device: str, steps: _Steps, alone: float, ahead: float) -> Row:
    seconds = steps.making, steps.device, steps.beside
    return (
        name, seeds, device, *(Figure(1000 * each, ",.1f", " ms") for each in seconds),
        *(Figure(100 * share, ".1f", " %") for share in (alone, ahead)),
    )  # fmt: skip
