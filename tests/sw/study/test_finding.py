# SPDX-License-Identifier: Apache-2.0
"""What a measurement says of a statement, kept in a folder."""

import pytest

from gcnloom.errors import DataError
from gcnloom.study.finding import Finding, load_findings


def finding(**changed):
    given = {
        "statement": "M1", "verdict": "shown", "asked": "1 %", "measured": "0 %", "command": "true",
    }  # fmt: skip
    return Finding(**(given | changed))


def test_findings_come_back_as_they_were_by_statement(tmp_path):
    later = finding(statement="M2", verdict="refuted", why="too slow")
    for one in (later, finding(measured="2 %"), finding()):
        one.save(tmp_path)
    assert load_findings(tmp_path) == [finding(), later]


def test_what_is_no_finding_is_named(tmp_path):
    (tmp_path / "M1.json").write_text('{"statement": "M1"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"M1\.json is no finding"):
        load_findings(tmp_path)


def test_a_verdict_is_one_of_three():
    with pytest.raises(ValueError, match="'perhaps' is unknown; try shown, not shown, refuted"):
        finding(verdict="perhaps")
