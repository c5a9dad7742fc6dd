# SPDX-License-Identifier: Apache-2.0
"""The boards' page has the table that the committed reports make."""

import json
from pathlib import Path

import pytest

from gcnloom_fpga.flow.page import BEGIN, END, board_rows, filled, main

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "docs" / "boards"


@pytest.mark.parametrize("name", ["README.md", "docs/boards.md"])
def test_the_pages_are_up_to_date(name):
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    assert filled(text, board_rows(REPORTS, page)) == text


def test_a_row_has_what_a_report_says(tmp_path):
    folder = tmp_path / "boards" / "mine"
    folder.mkdir(parents=True)
    entry = {"used": 1234, "available": 5280}
    report = {
        "title": "Mine", "part": "P", "memory": "8 MB", "config": {"multipliers": 3},
        "clock": {"hertz": 60e6}, "used": dict.fromkeys(("LUT", "FF", "EBR", "DSP"), entry),
        "fmax_mhz": {"min": 61.5, "median": 62, "max": 63.25}, "seeds": [{}, {}, {}],
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main([str(tmp_path / "boards"), str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith(f"{END}\nafter\n") and "old" not in text
    assert "| [Mine](boards/mine/report.json) | P | 3 | 1,234 of 5,280 |" in text
    assert "| 60 | 61.5, **62**, 63.25 | 3 |" in text
    assert main([str(tmp_path / "boards"), str(page)]) == 0
    assert page.read_text() == text


def test_a_page_without_a_place_is_refused(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    assert main([str(tmp_path), str(page)]) == 2
    assert "has no lines" in capsys.readouterr().err
    with pytest.raises(ValueError, match="boards: begin"):
        filled(END + BEGIN, [])
