# SPDX-License-Identifier: Apache-2.0
"""Tables and plots of a study, every mode side by side."""

from collections.abc import Iterator, Sequence
from statistics import mean

from gcnloom.parallel.summary import imbalance
from gcnloom.study.figures import FEATURES, Figures
from gcnloom.study.forecast import Contest
from gcnloom.study.page import Plot, Table
from gcnloom.study.plots import bars, lines
from gcnloom.study.store import Run

__all__ = ["accuracy", "contest_table", "costs", "failures", "forecasts", "plots", "traffic"]

KIB, MILLI = 1024, 1e3
NAMES = ("graph", "mode", "workers")
Group = tuple[tuple[str, str, str], list[Run]]


def accuracy(figures: Figures) -> Table:
    """Return accuracies, epochs to the target, and modelled time to it on each link, in seconds."""
    links = figures.study.links
    rows = []
    for names, runs in _groups(figures):
        reached = [figures.epochs_to_accuracy(run) for run in runs]
        cells = [
            _points([run.result["accuracy"][split] for run in runs]) for split in ("val", "test")
        ]
        known = [epochs for epochs in reached if epochs is not None]
        whole = len(known) == len(runs)
        never = "" if figures.target(names[0]) is None else "never"
        cells += [str(runs[0].result["epochs"]), f"{mean(known):.0f}" if whole else never]
        for link in links:
            times = [figures.time_to_accuracy(run, link) for run in runs]
            seconds = [time for time in times if time is not None]
            cells.append(f"{mean(seconds):.4g}" if whole else "")
        rows.append([*names, *cells])
    head = ["validation", "test", "epochs", "to accuracy", *(f"s, {link.name}" for link in links)]
    return Table([*NAMES, *head], rows)


def traffic(figures: Figures) -> Table:
    """Return what all workers send and fetch in an epoch, by what it is for."""
    rows = []
    for names, runs in _groups(figures):
        sent = _sent(runs)
        total = sum(sent.values())
        rows.append([*names, *(f"{value:,.0f}" for value in (*sent.values(), total))])
    return Table([*NAMES, "features", "weights", "statistics", "fetched", "all"], rows)


def costs(figures: Figures) -> Table:
    """Return loads, memory, beats and messages, and the modelled epoch in milliseconds."""
    links = figures.study.links
    rows = []
    for names, runs in _groups(figures):
        measured = [run.result["measured"]["per_worker"] for run in runs]
        cells = [
            f"{mean(imbalance(each[kind]) for each in measured):.3f}" for kind in ("bytes", "beats")
        ]
        cells += [
            f"{mean(max(each['memory']) for each in measured) / KIB:,.0f}",
            f"{mean(max(each['cycles']) or max(each['beats']) for each in measured):,.0f}",
            f"{mean(max(each['messages']) for each in measured):,.1f}",
        ]
        cells += [
            f"{MILLI * mean(figures.seconds(run, link) for run in runs):,.3f}" for link in links
        ]
        rows.append([*names, *cells])
    head = ["bytes, max/mean", "beats, max/mean", "KiB a worker", "beats", "messages"]
    return Table([*NAMES, *head, *(f"ms, {link.name}" for link in links)], rows)


def forecasts(figures: Figures) -> Table:
    """Return what was foretold of an epoch beside what was measured."""
    rows = []
    for names, runs in _groups(figures):
        cells = []
        for kind in ("bytes", "fetched_bytes", "messages", "beats"):
            for side in ("predicted", "measured"):
                value = mean(max(run.result[side]["per_worker"][kind]) for run in runs)
                cells.append(f"{value:,.0f}")
        rows.append([*names, *cells])
    head = [
        f"{kind}{', ' * bool(kind)}{side}" for kind in ("bytes", "fetched", "messages", "beats")
        for side in ("foretold", "measured")
    ]  # fmt: skip
    return Table([*NAMES, *head], rows)


def contest_table(found: Sequence[Contest]) -> Table:
    """Return the winner that was foretold beside the one that was measured."""
    rows = [
        [each.graph, str(each.workers), each.link, each.foretold, each.measured, f"{each.loss:.2f}"]
        for each in found
    ]
    return Table(["graph", "workers", "link", "foretold", "measured", "times the least"], rows)


def failures(figures: Figures) -> Table:
    """Return trainings that failed, and why."""
    return Table(["training", "error"], [[run.case.title, run.error] for run in figures.failed])


def plots(figures: Figures, graph: str) -> list[Plot]:
    """Return the bytes of an epoch, and its modelled time over the links, on a graph."""
    groups = [(names, runs) for names, runs in _groups(figures) if names[0] == graph]
    if not groups:
        return []
    labels = {f"{mode}, {workers}": runs for (_, mode, workers), runs in groups}
    name = "".join(letter if letter.isalnum() else "-" for letter in graph)
    drawn = [
        Plot(
            f"bytes-{name}", f"Bytes of all workers in an epoch, {graph}",
            bars({label: _sent(runs) for label, runs in labels.items()}, "bytes"),
        )
    ]  # fmt: skip
    links = figures.study.links
    if links:
        times = {
            label: [MILLI * mean(figures.seconds(run, link) for run in runs) for link in links]
            for label, runs in labels.items()
        }
        caption = f"Modelled time of an epoch over links, {graph}"
        drawn.append(
            Plot(f"time-{name}", caption, lines([link.name for link in links], times, "ms"))
        )
    return drawn


def _groups(figures: Figures) -> Iterator[Group]:
    """Gather runs that differ in their seeds alone, by graph, mode and workers."""
    for graph in figures.study.graphs:
        for mode in figures.study.modes:
            runs = figures.find(graph=graph, mode=mode)
            for workers in sorted({run.case.workers for run in runs}):
                same = [run for run in runs if run.case.workers == workers]
                yield (graph, mode, str(workers)), same


def _sent(runs: Sequence[Run]) -> dict[str, float]:
    """Bytes of an epoch of all workers, the mean of runs, by what they are for."""
    total = dict.fromkeys(("features", "weights", "statistics", "fetched"), 0.0)
    for run in runs:
        kinds = run.result.get("parallel", {})
        length = kinds.get("local_iterations", 1)
        moved = kinds.get("bytes_per_epoch") or kinds.get("bytes_per_round", {})
        for kind, numbers in moved.items():
            if kind != "inference":
                named = "statistics" if kind == "statistics" else "weights"
                named = "features" if kind in FEATURES else named
                total[named] += numbers["measured"] / length / len(runs)
        total["fetched"] += sum(run.result["measured"]["per_worker"]["fetched_bytes"]) / len(runs)
    return total


def _points(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * mean(known):.1f} %" if known else ""
