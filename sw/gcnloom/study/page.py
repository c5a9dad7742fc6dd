# SPDX-License-Identifier: Apache-2.0
"""A page of headings, paragraphs, tables and plots, as Markdown and as one file of HTML."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Heading", "Page", "Paragraph", "Plot", "Table"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto;
  max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
td.shown { background: #dcefdc; } td.refuted { background: #f6d9d5; }
code { background: #f3f3f3; padding: 0 .2rem; } figure { margin: 1rem 0; }
"""
NUMBER = re.compile(r"[-+]?[\d,.]+( %| MiB| KiB)?")


@dataclass(frozen=True)
class Heading:
    """A heading."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Text in which backquotes mark code."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head; columns of numbers lean to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot:
    """A picture as SVG, with the name of its file."""

    name: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Page:
    """Parts from top to bottom; the first one is the title's heading."""

    parts: Sequence[Heading | Paragraph | Table | Plot]

    def save(self, folder: Path, name: str) -> None:
        """Write ``NAME.md`` with its pictures beside it, and ``NAME.html``, which has them in."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(self.markdown(), encoding="utf-8")
        (folder / f"{name}.html").write_text(self.html(), encoding="utf-8")
        for part in self.parts:
            if isinstance(part, Plot):
                (folder / f"{part.name}.svg").write_text(part.svg, encoding="utf-8")

    def markdown(self) -> str:
        """Text of the page, which names its pictures' files."""
        return "\n\n".join(map(_markdown, self.parts)) + "\n"

    def html(self) -> str:
        """Return the page in one file."""
        title = next(part.text for part in self.parts if isinstance(part, Heading))
        body = "\n".join(map(_html, self.parts))
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
            f"<body>\n{body}\n</body></html>\n"
        )


def _markdown(part: Heading | Paragraph | Table | Plot) -> str:
    match part:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Plot(name, caption, _):
            return f"![{caption}]({name}.svg)"
        case Table(head, rows):
            ruler = ["---:" if numeric else "---" for numeric in _numeric(len(head), rows)]
            lines = [list(head), ruler, *rows]
            return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _html(part: Heading | Paragraph | Table | Plot) -> str:
    match part:
        case Heading(text, level):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Plot(_, caption, svg):
            return f"<figure>{svg}<figcaption>{_inline(caption)}</figcaption></figure>"
        case Table(head, rows):
            kinds = ["number" if numeric else "" for numeric in _numeric(len(head), rows)]
            lines = [_line("th", head, kinds)]
            lines += [_line("td", row, kinds) for row in rows]
            return "<table>\n" + "\n".join(lines) + "\n</table>"


def _line(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    parts = []
    for cell, kind in zip(cells, kinds, strict=True):
        kind = cell if cell in ("shown", "refuted") else kind
        parts.append(
            f"<{tag}{f' class={chr(34)}{kind}{chr(34)}' * bool(kind)}>{_inline(cell)}</{tag}>"
        )
    return f"<tr>{''.join(parts)}</tr>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _numeric(columns: int, rows: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each column holds numbers alone, or nothing."""
    return [
        all(not row[column] or NUMBER.fullmatch(row[column]) for row in rows)
        for column in range(columns)
    ]
