# SPDX-License-Identifier: Apache-2.0
"""What a study's runs say of full-graph training on several devices: M1, M2, M3, M7, A5."""

from gcnloom.study.figures import FEATURES, Figures
from gcnloom.study.finding import Finding
from gcnloom.study.judging import apart, finding, judged, listed, span
from gcnloom.study.store import Run

__all__ = ["shown_of_full_graphs"]

WORKERS = (2, 4, 8, 16)
BYTES_APART, MOST_UNEVEN, LEAST_GRAPHS = 0.01, 1.02, 5
LOADS = ("bytes", "sparse_macs", "dense_macs")


def shown_of_full_graphs(figures: Figures) -> list[Finding]:
    """Return a finding for each of the statements that there are runs for."""
    each = (_bytes, _same_weights, _evenness, _throughput, _formulae)
    return [found for judge in each if (found := judge(figures)) is not None]


def _bytes(figures: Figures) -> Finding | None:
    """M1: bytes of features are those of the formula."""
    runs = [run for run in figures.exact("mop") if _feature_bytes(run)[0]]
    if not runs:
        return None
    found = [_feature_bytes(run) for run in runs]
    off = [apart(*each) for each in found]
    counts = sorted({run.case.workers for run in runs})
    text = f"at most {100 * max(off):.2f} % off, P = {listed(counts)}"
    shares = []
    for run in runs:
        cut = figures.find(
            parallel="partition", graph=run.case.graph, workers=run.case.workers,
            seed=run.case.seed,
        )  # fmt: skip
        shares += [_feature_bytes(other)[0] / _feature_bytes(run)[0] for other in cut]
    if shares:
        text += f"; a METIS partition sends {span(shares)} times as much"
    verdict = judged(sum(each <= BYTES_APART for each in off), len(off))
    missing = [count for count in WORKERS if count not in counts]
    if verdict == "shown" and missing:
        verdict = "not shown"
    return finding(
        figures,
        "M1",
        verdict,
        text,
        f"no run with P = {listed(missing)}" if missing else "columns that do not come out even",
    )


def _same_weights(figures: Figures) -> Finding | None:
    """M2: the last weights are those of one device."""
    pairs = [
        (run, other)
        for run in (*figures.exact("mop"), *figures.exact("partition"))
        if (other := figures.beside(run)) is not None
    ]
    if not pairs:
        return None
    same = [run.result["weights_sha256"] == other.result["weights_sha256"] for run, other in pairs]
    counts = sorted({run.case.workers for run, _ in pairs})
    text = f"{sum(same)} of {len(same)} trainings end with one device's bits, P = {listed(counts)}"
    odd = listed(run.case.title for (run, _), equal in zip(pairs, same, strict=True) if not equal)
    return finding(figures, "M2", judged(sum(same), len(same)), text, f"other bits: {odd}")


def _evenness(figures: Figures) -> Finding | None:
    """M3: the largest load over the mean."""
    runs = figures.exact("mop")
    if not runs:
        return None
    even = [run for run in runs if _worst(run) <= MOST_UNEVEN]
    text = f"{len(even)} of {len(runs)} trainings; at most {_loads(runs)}"
    cut = figures.exact("partition")
    if cut:
        text += f"; METIS at most {_loads(cut)}"
    odd = listed(f"{run.case.graph} at P = {run.case.workers}" for run in runs if run not in even)
    why = f"columns that P does not divide, or sparse features dealt by rows: {odd}"
    return finding(figures, "M3", judged(len(even), len(runs)), text, why)


def _throughput(figures: Figures) -> Finding | None:
    """M7: modelled time of an epoch against a partition's."""
    places = figures.places("mop", "partition")
    if not places or not figures.study.links:
        return None
    parts, faster, total = [], 0, 0
    for link in figures.study.links:
        factors = [
            figures.epoch(link, "partition", place) / figures.epoch(link, "mop", place)
            for place in places
        ]
        won = sum(factor > 1 for factor in factors)
        faster, total = faster + won, total + len(factors)
        parts.append(f"{link.name}: {span(factors)} times, more on {won} of {len(factors)}")
    graphs = {graph for graph, _ in places}
    verdict = judged(faster, total)
    if len(graphs) < LEAST_GRAPHS and verdict == "shown":
        verdict = "not shown"
    why = (
        f"{len(graphs)} graphs; a good cut sends less, and columns narrower than a vector take "
        "its time"
    )
    return finding(figures, "M7", verdict, "; ".join(parts), why)


def _formulae(figures: Figures) -> Finding | None:
    """A5: all bytes of every mode against its formula."""
    off: dict[str, float] = {}
    for run in figures.runs:
        kinds = _kinds(run)
        measured, formula = (
            sum(numbers[name] for numbers in kinds.values()) for name in ("measured", "formula")
        )
        if kinds:
            most = off.get(run.case.parallel, 0.0)
            off[run.case.parallel] = max(most, apart(measured, formula))
    if not off:
        return None
    text = ", ".join(f"{kind} {100 * each:.2f} %" for kind, each in off.items())
    good = sum(each <= BYTES_APART for each in off.values())
    why = "others: " + listed(kind for kind, each in off.items() if each > BYTES_APART)
    return finding(figures, "A5", judged(good, len(off)), f"at most off by: {text}", why)


def _kinds(run: Run) -> dict[str, dict[str, float]]:
    parallel = run.result.get("parallel", {})
    kinds: dict[str, dict[str, float]] = parallel.get("bytes_per_epoch", {})
    return kinds or parallel.get("bytes_per_round", {})


def _feature_bytes(run: Run) -> tuple[float, float]:
    """Measured and by formula."""
    kinds = [numbers for kind, numbers in _kinds(run).items() if kind in FEATURES]
    measured, formula = (sum(each[name] for each in kinds) for name in ("measured", "formula"))
    return measured, formula


def _worst(run: Run) -> float:
    uneven: dict[str, float] = run.result["parallel"]["imbalance"]
    return max(uneven[name] for name in LOADS)


def _loads(runs: list[Run]) -> str:
    worst = {name: max(run.result["parallel"]["imbalance"][name] for run in runs) for name in LOADS}
    return ", ".join(
        f"{name.replace('_macs', ' MACs')} {value:.3f}" for name, value in worst.items()
    )
