# SPDX-License-Identifier: Apache-2.0
"""The accelerator's post-synthesis netlist, Verilated with models of the vendor's cells.

Cells behave as yosys' models say where these compute; ``cells/*.v`` has the others. What makes the
netlist is found by an entry point of the group :data:`GROUP`, as synthesis is another package's.
"""

import hashlib
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from gcnloom.errors import DeviceError
from gcnloom_sim.memory import Memory, memory_model
from gcnloom_sim.rtl import RtlTransport
from gcnloom_sim.verilate import NATIVE, TOP, Build, shared_library
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import ToolError

__all__ = ["GROUP", "MAKERS", "Netlist", "netlist_build", "open_ecp5", "open_gowin", "open_ice40"]

GROUP = "gcnloom.netlist"
"""Entry-point group of callables ``(config, progress) -> Netlist``, by the family's name."""
CELLS = Path(__file__).with_name("cells")
OURS = {
    "ecp5": ("block_ram.v", "ecp5.v"), "ice40": ("ice40.v",), "gowin": ("block_ram.v", "gowin.v"),
}  # fmt: skip
"""Family to our own models, of cells that yosys' models leave empty."""
MAKERS = {"ecp5": "Lattice ECP5", "ice40": "Lattice iCE40", "gowin": "Gowin"}
QUIET = ("-Wno-MODDUP", "-Wno-SPECIFYIGN", "-Wno-INITIALDLY", "-Wno-MULTIDRIVEN", "-Wno-UNOPTFLAT")


class Netlist(Protocol):
    """What a maker of netlists returns."""

    @property
    def verilog(self) -> Path:
        """The netlist, whose top module has the ports of the design."""

    @property
    def models(self) -> Path:
        """Yosys' models of the family's cells."""


def open_ecp5(config: AcceleratorConfig, **options: Any) -> RtlTransport:
    """Open the netlist for Lattice ECP5; options as :func:`~gcnloom_sim.rtl.open_rtl` has."""
    return _open(config, "ecp5", **options)


def open_ice40(config: AcceleratorConfig, **options: Any) -> RtlTransport:
    """Open the netlist for Lattice iCE40; options as :func:`~gcnloom_sim.rtl.open_rtl` has."""
    return _open(config, "ice40", **options)


def open_gowin(config: AcceleratorConfig, **options: Any) -> RtlTransport:
    """Open the netlist for Gowin; options as :func:`~gcnloom_sim.rtl.open_rtl` has."""
    return _open(config, "gowin", **options)


def netlist_build(
    netlist: Netlist, family: str, *, top: str, harness: Path, optimise: str = "-O1",
    beside: Sequence[Path] = (),
) -> Build:  # fmt: skip
    """How to Verilate a netlist.

    Parameters
    ----------
    netlist : Netlist
    family : str
        Of :data:`MAKERS`.
    top : str
        Module of the netlist.
    harness : Path
        C++ with the library's interface.
    optimise : str
        The C++ compiler's level; a netlist has so much text that more takes long.
    beside : Sequence[Path]
        Further Verilog.
    """
    # Of two models of a cell Verilator takes the first it reads.
    sources = [*(CELLS / name for name in OURS[family]), *beside, netlist.verilog, netlist.models]
    included = sorted(netlist.models.parent.glob("*.vh"))
    digests = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (*sources, *included))
    return Build(
        top=top, harness=harness, sources=lambda _: sources, key=tuple(digests), optimise=optimise,
        # yosys' models include files, those of ECP5 from a folder beside their own too.
        verilate=(
            *QUIET, f"-I{netlist.models.parent}", f"-I{netlist.models.parents[1] / 'lattice'}",
        ),
    )  # fmt: skip


def _open(
    config: AcceleratorConfig,
    family: str,
    *,
    memory_megabytes: int = 64,
    memory: str | Memory = "ideal",
    latency: int | None = None,
    stall_per_mille: int = 0,
    seed: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> RtlTransport:
    model = memory_model(memory, latency)
    makers = {entry.name: entry for entry in entry_points(group=GROUP)}
    if family not in makers:
        raise DeviceError(
            f"nothing installed makes netlists for {MAKERS[family]}; "
            "try: pip install 'gcnloom[sim,fpga]'"
        )
    try:
        netlist = makers[family].load()(config, progress)
    except ToolError as error:
        raise DeviceError(str(error)) from error
    build = netlist_build(netlist, family, top=TOP, harness=NATIVE)
    return RtlTransport(
        config, shared_library(build, f"netlist-{family}", progress=progress),
        memory_megabytes << 20, memory=model, stall_per_mille=stall_per_mille, seed=seed,
    )  # fmt: skip
