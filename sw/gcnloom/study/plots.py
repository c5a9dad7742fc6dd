# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG: stacked bars, and lines on a logarithmic scale."""

import html
from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

__all__ = ["bars", "lines"]

COLOURS = (
    "#3b6fb6", "#d98032", "#4f9d58", "#b0506a", "#7f63b8", "#8a8a5c", "#4aa3b0", "#c9a227",
    "#666666",
)  # fmt: skip
WIDTH, LEFT, RIGHT, ROW = 860, 230, 90, 22
LEGEND, LETTER = 30, 7.2
"""Height of a legend's line, and width of a letter in it."""
HEIGHT = 300


def bars(rows: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """Draw a bar for each row, its parts one after the other.

    Parameters
    ----------
    rows : mapping of str to mapping of str to float
        By label; of each the parts by name, none negative.
    unit : str
        Behind each bar's total.
    """
    names = list(dict.fromkeys(name for parts in rows.values() for name in parts))
    most = max((sum(parts.values()) for parts in rows.values()), default=0) or 1
    scale, body, top = (WIDTH - LEFT - RIGHT - 40) / most, [], LEGEND
    for label, parts in rows.items():
        body.append(_text(LEFT - 8, top + 14, label, "end"))
        x = float(LEFT)
        for name, value in parts.items():
            width = value * scale
            body.append(_box(x, top + 2, width, ROW - 5, COLOURS[names.index(name) % len(COLOURS)]))
            x += width
        body.append(_text(x + 5, top + 14, f"{sum(parts.values()):,.0f} {unit}"))
        top += ROW
    return _svg(top + 6, [*_legend(names), *body])


def lines(places: Sequence[str], rows: Mapping[str, Sequence[float]], unit: str) -> str:
    """Draw a line for each row over some places, on a logarithmic scale.

    Parameters
    ----------
    places : sequence of str
        Along the horizontal axis.
    rows : mapping of str to sequence of float
        By label; positive, one for each place.
    unit : str
        Of the vertical axis.
    """
    values = [value for row in rows.values() for value in row]
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    high = max(high, low + 1)
    left, right, top, bottom = 90, WIDTH - 40, LEGEND + 20, LEGEND + HEIGHT

    def y(value: float) -> float:
        return bottom - (log10(value) - low) / (high - low) * (bottom - top)

    step = (right - left) / max(1, len(places) - 1)
    body = []
    for power in range(low, high + 1):
        level = y(10.0**power)
        body.append(
            f'<line x1="{left}" y1="{level:.1f}" x2="{right}" y2="{level:.1f}" stroke="#ddd"/>'
        )
        body.append(_text(left - 6, level + 4, f"{10.0**power:g} {unit}", "end"))
    for number, place in enumerate(places):
        anchor = "start" if not number else "end" if number == len(places) - 1 else "middle"
        body.append(_text(left + number * step, bottom + 20, place, anchor))
    for index, row in enumerate(rows.values()):
        colour = COLOURS[index % len(COLOURS)]
        points = [(left + number * step, y(value)) for number, value in enumerate(row)]
        path = " ".join(f"{x:.1f},{level:.1f}" for x, level in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [
            f'<circle cx="{x:.1f}" cy="{level:.1f}" r="3" fill="{colour}"/>' for x, level in points
        ]
    return _svg(bottom + 34, [*_legend(list(rows)), *body])


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], 10.0
    for index, name in enumerate(names):
        parts.append(_box(x, 8, 11, 11, COLOURS[index % len(COLOURS)]))
        parts.append(_text(x + 16, 18, name))
        x += 30 + LETTER * len(name)
    return parts


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(height: float, body: Sequence[str]) -> str:
    inside = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{inside}\n</svg>\n'
    )
