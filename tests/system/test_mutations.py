# SPDX-License-Identifier: Apache-2.0
"""The list of lines to break keeps up with the code."""

from tests.mutations import MUTATIONS, ROOT


def test_every_line_to_break_is_there_once_and_its_tests_exist():
    for mutation in MUTATIONS:
        text = (ROOT / mutation.file).read_text(encoding="utf-8")
        assert text.count(mutation.before) == 1, f"{mutation.file}: {mutation.before}"
        assert mutation.after != mutation.before
        for argument in mutation.tests:
            assert not argument.endswith(".py") or (ROOT / argument).is_file(), argument


def test_the_documented_table_has_a_row_for_each_break_and_no_other():
    table = (ROOT / "docs" / "mutations.md").read_text(encoding="utf-8")
    for mutation in MUTATIONS:
        line = mutation.before.replace("|", "\\|")
        assert f"| {mutation.file} | `{line}` |" in table, f"{mutation.file}: {mutation.before}"
    rows = [line for line in table.splitlines() if line.startswith(("| hw/", "| sw/"))]
    assert len({*rows}) == len(rows) == len(MUTATIONS)
