# SPDX-License-Identifier: Apache-2.0
"""A study's report: statements first, then every mode side by side, then what was foretold."""

from collections.abc import Sequence

from gcnloom.study.figures import Figures
from gcnloom.study.finding import Finding
from gcnloom.study.forecast import contests, guessed, right
from gcnloom.study.page import Heading, Page, Paragraph, Plot, Table
from gcnloom.study.shown import shown_of_full_graphs
from gcnloom.study.shown_modes import shown_of_modes
from gcnloom.study.statements import SOURCES, STATEMENTS
from gcnloom.study.tables import (
    accuracy,
    contest_table,
    costs,
    failures,
    forecasts,
    plots,
    traffic,
)

__all__ = ["findings_of", "report"]

NOBODY = "not measured"
MEGA = 1e6
FORMULA = (
    "An epoch is modelled as `C / clock + M * latency + B / bandwidth`: C cycles, M messages and "
    "B bytes, fetched features among them, of the busiest worker, each counted while it trained. "
    "Where the executor has no clock C are beats: edges over processing elements, and rows that "
    "the array takes, one engine after the other, which leaves out all waiting, and for one device "
    "that its engines overlap. What host and device move between them is left out too."
)


def report(figures: Figures, kept: Sequence[Finding]) -> Page:
    """Return the report of a study.

    Parameters
    ----------
    figures : Figures
    kept : sequence of Finding
        Of other measurements, for statements that the study's runs do not show or refute.
    """
    study, count = figures.study, len(figures.runs)
    links = ", ".join(
        f"{link.name} ({link.bandwidth / MEGA:g} MB/s, {link.latency * MEGA:g} µs a message)"
        for link in study.links
    )
    papers = "; ".join(f"{letter}: {source}" for letter, source in SOURCES.items())
    parts: list[Heading | Paragraph | Table | Plot] = [
        Heading("Study", 1),
        Paragraph(
            f"{count} trainings: {len(study.modes)} modes on {len(study.graphs)} graphs. "
            f"`{figures.command}` repeats them."
        ),
        Heading("Statements"),
        Paragraph(
            f"Methods are of five papers: {papers}. *Sourced* is one from an abstract, the "
            "authors' code or a paper built on it, *our reading* what we made of it; the numbers "
            "asked are ours. The last column says what measures it again."
        ),
        _statements(figures, kept),
        Heading("Accuracy"),
        Paragraph(
            f"*To accuracy* are epochs of a worker until validation accuracy is "
            f"{100 * study.target:g} % of the best of {study.modes[0]}, and the modelled time."
        ),
        accuracy(figures),
        Heading("Bytes of an epoch"),
        Paragraph("Of all workers: sent to each other, and features fetched for batches."),
        traffic(figures),
        Heading("Load, memory and modelled time of an epoch"),
        Paragraph(f"{FORMULA} Clock {study.clock / MEGA:g} MHz. Links: {links or 'none'}."),
        costs(figures),
    ]
    for graph in study.graphs:
        parts += plots(figures, graph)
    parts += _foretold(figures)
    if figures.failed:
        parts += [Heading("What failed"), failures(figures)]
    return Page(parts)


def findings_of(figures: Figures, kept: Sequence[Finding]) -> dict[str, Finding]:
    """Return a finding for each statement that somebody measured, by its name.

    One of the study's own runs counts, unless it is *not shown* there and one is kept.
    """
    found = {each.statement: each for each in kept}
    for own in (*shown_of_full_graphs(figures), *shown_of_modes(figures)):
        if own.verdict != "not shown" or own.statement not in found:
            found[own.statement] = own
    return found


def _statements(figures: Figures, kept: Sequence[Finding]) -> Table:
    found = findings_of(figures, kept)
    rows = []
    for each in STATEMENTS:
        head = [each.name, each.says, each.origin, each.asked]
        one = found.get(each.name)
        if one is None:
            rows.append([*head, "not shown", NOBODY, ""])
            continue
        why = f" ({one.why})" if one.why else ""
        command = "this study" if one.command == figures.command else f"`{one.command}`"
        rows.append([*head, one.verdict, f"{one.measured}{why}", command])
    return Table(["", "statement", "method", "asked", "", "measured", "command"], rows)


def _foretold(figures: Figures) -> list[Heading | Paragraph | Table | Plot]:
    """Return what was foretold, and how often it was right."""
    parts: list[Heading | Paragraph | Table | Plot] = [
        Heading("What was foretold"),
        Paragraph("Of the busiest worker, before it trained: an epoch's bytes, messages, beats."),
        forecasts(figures),
    ]
    for decides, what in ((False, "of an epoch"), (True, "to accuracy, epochs as measured")):
        found = contests(figures, to_accuracy=decides)
        if found:
            count = len(found)
            parts += [
                Paragraph(
                    f"The mode with the least modelled time {what}: right in {right(found)} of "
                    f"{count} configurations; always to name the most frequent winner is right "
                    f"in {guessed(found)}."
                ),
                contest_table(found),
            ]
    return parts
