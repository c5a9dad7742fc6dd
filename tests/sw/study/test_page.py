# SPDX-License-Identifier: Apache-2.0
"""Pages as Markdown and HTML, and plots as SVG."""

from xml.etree import ElementTree

import pytest

from gcnloom.study.page import Heading, Page, Paragraph, Plot, Table
from gcnloom.study.plots import bars, lines

NAMESPACE = "{http://www.w3.org/2000/svg}"
PAGE = Page(
    [
        Heading("Title", 1),
        Paragraph("a < b, `c`"),
        Table(["name", "count"], [["x|y", "1,234"], ["z", "5.6 %"]]),
        Plot("plot", "A plot", "<svg/>"),
    ]
)


def _boxes(svg, height):
    return [
        (float(box.get("x")), float(box.get("width")))
        for box in ElementTree.fromstring(svg).iter(f"{NAMESPACE}rect")
        if box.get("height") == height
    ]


def test_markdown_keeps_cells_apart_and_leans_numbers_right():
    assert PAGE.markdown() == (
        "# Title\n\na < b, `c`\n\n| name | count |\n| --- | ---: |\n| x\\|y | 1,234 |\n"
        "| z | 5.6 % |\n\n![A plot](plot.svg)\n"
    )


def test_html_has_everything_in_one_file(tmp_path):
    PAGE.save(tmp_path, "page")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<p>a &lt; b, <code>c</code></p>" in text
    assert '<td>x|y</td><td class="number">1,234</td>' in text
    assert "<figure><svg/><figcaption>A plot" in text
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8") == "<svg/>"


def test_parts_of_a_bar_follow_each_other_to_scale():
    svg = bars({"one & all": {"a": 30, "b": 10}, "two": {"b": 20}}, "bytes")
    (left, first), (after, second), (again, third) = _boxes(svg, "17.0")
    assert (after, again) == (pytest.approx(left + first, abs=0.2), left)
    assert [first / 3, third / 2] == pytest.approx([second, second], abs=0.2)
    assert "one &amp; all" in svg and "40 bytes" in svg


def test_a_line_is_logarithmic():
    svg = lines(["slow", "fast"], {"mop": [100.0, 1.0], "single": [10.0, 10.0]}, "ms")
    found = ElementTree.fromstring(svg).iter(f"{NAMESPACE}polyline")
    points = [[float(pair.split(",")[1]) for pair in line.get("points").split()] for line in found]
    (high, low), (middle, same) = points
    assert high < middle == same < low
    assert middle - high == pytest.approx(low - middle, abs=0.2)
