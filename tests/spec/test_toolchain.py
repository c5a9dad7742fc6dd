# SPDX-License-Identifier: Apache-2.0
"""External programs: which is found, and what version it says it has."""

import pytest

from gcnloom_spec.toolchain import NEXTPNR, ToolError


def _program(folder, text):
    path = folder / "nextpnr-ecp5"
    path.write_text(f"#!/bin/sh\necho '{text}' >&2\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("said", "version"),
    [("nextpnr-0.10-1-gabc", "0.10-1-gabc"), ("0.11.1+dfsg-5+b1", "0.11.1+dfsg-5+b1")],
)
def test_its_authors_and_a_distributions_nextpnr_are_both_understood(
    said, version, tmp_path, monkeypatch
):
    text = f'"nextpnr-ecp5" -- Next Generation Place and Route (Version {said})'
    path = _program(tmp_path, text)
    monkeypatch.setenv("NEXTPNR_ECP5", str(path))
    tool = NEXTPNR.find()
    assert (tool.command, tool.version) == (str(path), version)


def test_another_program_of_that_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("NEXTPNR_ECP5", str(_program(tmp_path, "hello")))
    with pytest.raises(ToolError, match="does not answer --version like nextpnr-ecp5"):
        NEXTPNR.find()
