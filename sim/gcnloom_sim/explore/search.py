# SPDX-License-Identifier: Apache-2.0
"""Search in two steps: every legal shape in closed form, then the best by the cycle model."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gcnloom.device import open as open_device
from gcnloom.errors import ConfigError
from gcnloom.graphs.graph import Graph
from gcnloom_sim.explore.space import Budget, Candidate, candidates
from gcnloom_sim.explore.streaming import streaming
from gcnloom_sim.explore.work import stages
from gcnloom_sim.workloads.measurement import Measurement, measure
from gcnloom_sim.workloads.rows import Row
from gcnloom_sim.workloads.traffic import IDEAL

__all__ = ["Found", "columns", "confirm", "name", "search"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A configuration that was predicted by the cycle model.

    Attributes
    ----------
    candidate : Candidate
    measurement : Measurement
        Of the workload; without measured cycles unless it was confirmed.
    """

    candidate: Candidate
    measurement: Measurement

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "sizes": asdict(self.candidate.config),
            "estimated_cycles": round(self.candidate.estimate),
            **self.measurement.as_dict(),
        }


def search(
    row: Row, graph: Graph, budget: Budget, *, top: int, memory: str,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Found]:  # fmt: skip
    """Find the configurations on which a row takes fewest cycles, the fastest first.

    Each of the best shapes is tried with the memories that the closed form gave it, and with such
    that let products stream.

    Parameters
    ----------
    row : Row
        Its configuration is not looked at.
    graph : Graph
    budget : Budget
    top : int
        Candidates that the cycle model decides between.
    memory : str
        Model of the memory behind the port.
    progress : callable
        Told what is being done.
    """
    network = row.training().network(graph.features.shape[1], graph.classes)
    progress(f"ranking configurations of {budget.multipliers} multipliers")
    work = stages(graph, network, row.work)
    ranked = candidates(work, budget, top)
    if not ranked:
        raise ConfigError(
            f"no configuration of {budget.multipliers} multipliers fits the buffers or the part; "
            "try more buffer bytes, fewer multipliers or a narrower port"
        )
    found = []
    for number, candidate in enumerate(ranked, start=1):
        progress(f"predicting {number} of the best {len(ranked)}")
        each = [candidate, *streaming(work, candidate, budget)]
        tried = [
            Found(candidate=one, measurement=_run(row, graph, one, "model", memory)) for one in each
        ]
        found.append(min(tried, key=_predicted))
    return sorted(found, key=_predicted)


def _predicted(found: Found) -> int:
    return found.measurement.predicted


def confirm(
    row: Row, graph: Graph, found: Found, *, memory: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Found:  # fmt: skip
    """Run a configuration's workload on the RTL."""
    measurement = _run(row, graph, found.candidate, "rtl", memory, progress)
    return Found(candidate=found.candidate, measurement=measurement)


def name(candidate: Candidate) -> str:
    """Return the shape of a configuration, for people."""
    config = candidate.config
    return f"{config.pes}x{config.lanes}+{config.rows}x{config.columns}"


def _run(
    row: Row, graph: Graph, candidate: Candidate, device: str, memory: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Measurement:  # fmt: skip
    chosen = {} if memory == IDEAL or device == "model" else {"memory": memory}
    with open_device(
        device, candidate.config, memory_megabytes=row.megabytes, progress=progress, **chosen
    ) as opened:
        shaped = Row(
            name=row.name, data=row.data, config=name(candidate), work=row.work,
            options=row.options, megabytes=row.megabytes,
        )  # fmt: skip
        return measure(
            shaped, graph, opened, memory=memory, run=device != "model", progress=progress
        )


def columns(found: Sequence[Found]) -> list[Sequence[str]]:
    """Return a line of text for every configuration found, the heading first."""
    heading = (
        "PEs", "lanes", "rows", "columns", "operand", "banks", "sums of a PE", "edges", "left",
        "right", "sums", "estimate", "predicted", "measured", "utilisation",
    )  # fmt: skip
    lines: list[Sequence[str]] = [heading]
    for each in found:
        config, measured = each.candidate.config, each.measurement
        sizes = (
            config.pes, config.lanes, config.rows, config.columns, config.operand_depth,
            config.operand_banks, config.accumulator_depth, config.edge_depth, config.left_depth,
            config.right_depth, config.sum_depth, round(each.candidate.estimate),
            measured.predicted,
        )  # fmt: skip
        cycles = f"{measured.cycles:,}" if measured.cycles else ""
        utilisation = f"{100 * measured.utilisation:.1f} %"
        lines.append((*(f"{size:,}" for size in sizes), cycles, utilisation))
    return lines
