# SPDX-License-Identifier: Apache-2.0
"""What a study's runs say of one mode against another: G7, C2, C5, B7."""

from collections.abc import Callable

from gcnloom.study.figures import Figures
from gcnloom.study.finding import Finding
from gcnloom.study.forecast import contests, guessed, right
from gcnloom.study.judging import apart, finding, judged, listed, span

__all__ = ["shown_of_modes"]

GAP = 0.009
FORETOLD_APART, LEAST_RIGHT, LEAST_CONTESTS = 0.05, 0.8, 20
PAPERS_SPEEDUP = 1.64


def shown_of_modes(figures: Figures) -> list[Finding]:
    """Return a finding for each of the statements that there are runs for."""
    each: tuple[Callable[[Figures], Finding | None], ...] = (_parts, _gap, _foretold, _together)
    return [found for judge in each if (found := judge(figures)) is not None]


def _parts(figures: Figures) -> Finding | None:
    """G7: speed-up of training in parts, at equal total epochs and to accuracy."""
    equal: list[float] = []
    reached: list[float] = []
    tried = 0
    for run in figures.find(parallel="gist"):
        for alone in figures.alone(run)[:1]:
            for link in figures.study.links:
                tried += 1
                times = figures.seconds(alone, link), figures.seconds(run, link)
                equal.append(run.case.workers * times[0] / times[1])
                one, many = (figures.time_to_accuracy(each, link) for each in (alone, run))
                if one is not None and many is not None:
                    reached.append(one / many)
    if not tried:
        return None
    text = f"{span(equal)} times at equal total epochs; to accuracy "
    text += f"{span(reached)} times where reached, " if reached else ""
    text += f"in {len(reached)} of {tried} trainings and links"
    fast = sum(factor > 1 for factor in equal) + sum(factor > 1 for factor in reached)
    why = (
        "rounds that begin anew learn slowly and repeat their first passes; parts narrower than a "
        "vector take its time"
    )
    return finding(figures, "G7", judged(fast, 2 * tried), text, why)


def _gap(figures: Figures) -> Finding | None:
    """C2: accuracy of sampled training below the full graph's, and time to accuracy."""
    gaps, factors, late = {}, [], 0
    for run in (*figures.find(parallel="minibatch"), *figures.find(parallel="cooperative")):
        for alone in figures.alone(run)[:1]:
            tests = [each.result["accuracy"]["test"] for each in (alone, run)]
            if None not in tests:
                gaps[run.case.title] = tests[0] - tests[1]
            for link in figures.study.links:
                one, many = (figures.time_to_accuracy(each, link) for each in (alone, run))
                late += many is None
                if one is not None and many is not None:
                    factors.append(one / many)
    if not gaps:
        return None
    points = [100 * gap for gap in gaps.values()]
    good = [gap <= GAP for gap in gaps.values()]
    text = f"gap {span(points)} points, at most 0.9 in {sum(good)} of {len(good)} trainings"
    if factors:
        text += f"; to accuracy {span(factors)} times sooner than one device"
        text += f", never in {late} cases" if late else ""
    over = listed(name for name, gap in gaps.items() if gap > GAP)
    return finding(figures, "C2", judged(sum(good), len(good)), text, f"more: {over}")


def _foretold(figures: Figures) -> Finding | None:
    """C5: bytes and winners, foretold without training."""
    off = [
        apart(figures.features(run), run.result["predicted"]["features"])
        for kind in ("mop", "partition", "minibatch", "cooperative")
        for run in figures.find(parallel=kind)
    ]
    epochs, accuracies = (contests(figures, to_accuracy=decides) for decides in (False, True))
    if not off or not epochs:
        return None
    close = sum(each <= FORETOLD_APART for each in off)
    text = f"bytes within 5 % in {close} of {len(off)}, at most {100 * max(off):.1f} % off"
    good, enough = [close == len(off)], True
    for what, found in (("of an epoch", epochs), ("to accuracy", accuracies)):
        text += f"; least time {what} right in {right(found)} of {len(found)}, a guess in "
        text += f"{guessed(found)}"
        good.append(right(found) >= LEAST_RIGHT * len(found))
        enough &= len(found) >= LEAST_CONTESTS
    verdict = judged(sum(good), len(good))
    if not enough:
        verdict = "not shown"
    why = "batches of other epochs than were drawn differ" if enough else "few configurations"
    return finding(figures, "C5", verdict, text, why)


def _together(figures: Figures) -> Finding | None:
    """B7: modelled time of an epoch of batches each against a shared one."""
    places = figures.places("minibatch", "cooperative")
    if not places or not figures.study.links:
        return None
    parts, faster, total = [], 0, 0
    for link in figures.study.links:
        factors = [
            figures.epoch(link, "minibatch", place) / figures.epoch(link, "cooperative", place)
            for place in places
        ]
        faster, total = faster + sum(factor > 1 for factor in factors), total + len(factors)
        parts.append(f"{link.name}: {span(factors)}")
    text = f"{'; '.join(parts)} times, beside {PAPERS_SPEEDUP}"
    why = "what vertices share is worth less than their sums of 4 bytes where features are narrow"
    return finding(figures, "B7", judged(faster, total), text, why)
