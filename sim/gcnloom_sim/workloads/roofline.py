# SPDX-License-Identifier: Apache-2.0
"""Measured rows under their roofline, as an SVG picture."""

from collections.abc import Iterator, Sequence
from math import log2
from xml.sax.saxutils import escape

from gcnloom_sim.workloads.measurement import Measurement

__all__ = ["roofline"]

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 30, 60
LINE = 15
"""Pixels between labels, at least."""
LEAST_X, MOST_X = 1 / 8, 64
LEAST_Y, MOST_Y = 1 / 32, 1
STYLE = (
    "text{font:12px sans-serif;fill:#222}.roof{fill:none;stroke:#222;stroke-width:2}"
    ".grid{stroke:#ddd}.lead{stroke:#999}.dot{fill:#1668a8}.guess{fill:#fff;stroke:#1668a8}"
)


def roofline(rows: Sequence[Measurement]) -> str:
    """Draw rows as points: utilisation over how much slower multipliers are than the memory.

    The abscissa is the ideal cycles of the multipliers over those that the row's bytes take at
    least, so that one roof serves every configuration and memory. A hollow point is a prediction.
    """
    body = [*_axes(), *_points(rows)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _x(value: float) -> float:
    share = log2(min(max(value, LEAST_X), MOST_X) / LEAST_X) / log2(MOST_X / LEAST_X)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float) -> float:
    share = log2(min(max(value, LEAST_Y), MOST_Y) / LEAST_Y) / log2(MOST_Y / LEAST_Y)
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _axes() -> Iterator[str]:
    low, high = _y(LEAST_Y), _y(MOST_Y)
    value = LEAST_X
    while value <= MOST_X:
        yield f'<path class="grid" d="M{_x(value)} {low}V{high}"/>'
        name = f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
        yield _text(_x(value), low + 18, name, "middle")
        value *= 2
    share = LEAST_Y
    while share <= MOST_Y:
        yield f'<path class="grid" d="M{_x(LEAST_X)} {_y(share)}H{_x(MOST_X)}"/>'
        yield _text(LEFT - 8, _y(share) + 4, f"{100 * share:.3g} %", "end")
        share *= 2
    yield (f'<path class="roof" d="M{_x(LEAST_X)} {_y(LEAST_X)}L{_x(1)} {high}H{_x(MOST_X)}"/>')
    middle = (_x(LEAST_X) + _x(MOST_X)) / 2
    yield _text(
        middle, HEIGHT - 16, "ideal cycles of the multipliers / cycles of the memory port", "middle"
    )
    yield _text(LEFT - 50, TOP - 12, "effective utilisation", "start")


def _points(rows: Sequence[Measurement]) -> Iterator[str]:
    """Draw a dot and a label for each row; labels keep out of each other's way, downwards."""
    below = float(TOP)
    for row in sorted(rows, key=lambda row: -row.utilisation):
        x, y = _x(row.ideal / row.memory_cycles), _y(row.utilisation)
        label = max(y, below)
        below = label + LINE
        end = WIDTH - RIGHT + 8
        kind = "dot" if row.cycles else "guess"
        yield f'<path class="lead" d="M{x} {y}L{end} {label}"/>'
        yield f'<circle class="{kind}" cx="{x}" cy="{y}" r="4"/>'
        share = f"{100 * row.utilisation:.0f} %"
        yield _text(end + 4, label + 4, f"{escape(row.row.name)}, {share}", "start")


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'
