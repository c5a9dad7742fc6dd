# SPDX-License-Identifier: Apache-2.0
"""Where the units of a design lie on the die, as a small SVG."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

__all__ = ["floorplan_picture", "units"]

PLACE = re.compile(r"X(\d+)/Y(\d+)/")
COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44aa99",
    "#882255", "#999933",
)  # fmt: skip
AROUND = ("shell", "accelerator", "core")
"""Names of what units are part of."""
OTHERS, OTHERS_COLOUR = "others", "#bbbbbb"
SMALLEST = 0.01
"""Share of the cells below which a unit is among the others."""
TILE, MARGIN, LINE = 6, 8, 16
"""Pixels of a tile, around the die, of a line of the legend."""

Tile = tuple[int, int]


def units(names: Iterable[str]) -> dict[str, str]:
    """Tell of every cell which unit it belongs to, by the first name that tells units apart."""
    found = {}
    for name in names:
        parts = name.split(".")
        while len(parts) > 1 and parts[0] in AROUND:
            parts = parts[1:]
        found[name] = parts[0] if len(parts) > 1 else OTHERS
    return found


def floorplan_picture(module: Mapping[str, Any], *, title: str) -> str:
    """Draw every tile in the colour of the unit that has most cells there.

    Parameters
    ----------
    module : Mapping[str, Any]
        As nextpnr writes it, each cell with the attribute ``NEXTPNR_BEL``.
    title : str
    """
    places: dict[str, Tile] = {}
    for name, cell in module["cells"].items():
        found = PLACE.match(str(cell["attributes"].get("NEXTPNR_BEL", "")))
        if found:
            places[name] = int(found[1]), int(found[2])
    of = units(places)
    counts = Counter(of.values())
    shown = [
        unit
        for unit, count in counts.most_common(len(COLOURS))
        if unit != OTHERS and count >= SMALLEST * len(places)
    ]
    tiles: dict[Tile, Counter[str]] = defaultdict(Counter)
    for name, place in places.items():
        tiles[place][of[name] if of[name] in shown else OTHERS] += 1
    majority = {place: votes.most_common(1)[0][0] for place, votes in tiles.items()}
    totals = Counter({unit: counts[unit] for unit in shown})
    totals[OTHERS] = len(places) - sum(totals.values())
    return _svg(majority, totals, dict(zip(shown, COLOURS, strict=False)), title)


def _svg(
    majority: Mapping[Tile, str], totals: Mapping[str, int], colours: dict[str, str], title: str
) -> str:
    colours = colours | {OTHERS: OTHERS_COLOUR}
    across = max((x for x, _ in majority), default=0) + 1
    down = max((y for _, y in majority), default=0) + 1
    legend_at = 2 * MARGIN + across * TILE
    width = legend_at + 200
    height = max(down * TILE, LINE * (len(colours) + 1)) + 2 * MARGIN
    die = f'width="{across * TILE}" height="{down * TILE}"'
    font = 'font-family="sans-serif" font-size="11"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {font}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<rect x="{MARGIN}" y="{MARGIN}" {die} fill="#f4f4f4" stroke="#888888"/>',
        f'<text x="{legend_at}" y="{MARGIN + 10}">{escape(title)}</text>',
    ]
    for line, (unit, colour) in enumerate(colours.items(), 1):
        path = "".join(_runs(unit, majority))
        if path:
            lines.append(
                f'<path fill="{colour}" transform="translate({MARGIN} {MARGIN}) scale({TILE})" '
                f'd="{path}"/>'
            )
        y = MARGIN + 10 + LINE * line
        lines.append(
            f'<rect x="{legend_at}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{legend_at + 15}" y="{y}">{escape(unit)} ({totals[unit]:,})</text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _runs(unit: str, majority: Mapping[Tile, str]) -> Iterable[str]:
    """Rectangles of a unit's tiles, neighbours of a row as one."""
    mine = sorted((y, x) for (x, y), owner in majority.items() if owner == unit)
    start, length = (-1, -1), 0
    for y, x in [*mine, (-2, -2)]:
        if length and (y, x) == (start[0], start[1] + length):
            length += 1
            continue
        if length:
            yield f"M{start[1]} {start[0]}h{length}v1h-{length}z"
        start, length = (y, x), 1
