# SPDX-License-Identifier: Apache-2.0
"""Board: an FPGA board as data, read from a TOML file."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gcnloom_fpga.boards.files import board_table
from gcnloom_fpga.part import Part, part_named
from gcnloom_hw.dram.part import SdramPart, sdram_part
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Board", "Led", "Oscillator", "Programmer", "Sdram", "Uart"]

BUDGET = {"LUT": 95.0, "FF": 95.0, "EBR": 100.0, "DSP": 100.0, "SPRAM": 100.0}
"""Per cent of a part that a build may take."""
SDRAM_WIDTHS = {"clk": 1, "clk_en": 1, "cs": 1, "ras": 1, "cas": 1, "we": 1}
INSIDE = "inside"
"""In place of a pin: a line within the package, found by its name."""


@dataclass(frozen=True, kw_only=True)
class Oscillator:
    """What the board's clock comes from."""

    pin: str
    hertz: float


@dataclass(frozen=True, kw_only=True)
class Uart:
    """The host's line, as the FPGA sees it: `rx` is what the host sends.

    Parameters
    ----------
    rx, tx : str
    baud : int
        Fastest rate of the bridge.
    bridge : str
        What stands between it and the host.
    """

    rx: str
    tx: str
    baud: int = 3_000_000
    bridge: str = "USB"


@dataclass(frozen=True, kw_only=True)
class Led:
    """A light that shows that the accelerator runs."""

    pin: str
    inverted: bool = False


@dataclass(frozen=True, kw_only=True)
class Sdram:
    """An SDR SDRAM: the part, and its pins by the names of gcnloom_hw.dram.pins.

    Parameters
    ----------
    part : SdramPart
    pins : Mapping[str, tuple[str, ...]]
        Lowest bit first; clk_en, cs and dqm are missing where they are tied on the board.
    attributes : Mapping[str, str]
        Of these pins.
    """

    part: SdramPart
    pins: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Programmer:
    """How a bitstream gets to the board.

    Parameters
    ----------
    tool : str
        ``openFPGALoader``, ``iceprog`` or ``dfu-util``.
    program, flash : tuple[str, ...], optional
        Arguments before the file's name, which configure the FPGA or write its flash memory; none
        where the board cannot.
    usb : tuple[str, ...]
        USB vendor and product (``0403:6015``) of what is talked to.
    """

    tool: str
    program: tuple[str, ...] | None = None
    flash: tuple[str, ...] | None = None
    usb: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board, and what is built for it unless told otherwise.

    Parameters
    ----------
    name, title : str
    part : Part
    oscillator : Oscillator
    uart : Uart
    led : Led, optional
    sdram : Sdram, optional
        Device memory.
    memory_bytes : int
        Bytes of block RAM for device memory, with an `sdram` for its first bytes.
    spram : bool
        Whether the large memories of an iCE40UP5K are device memory.
    tied : Mapping[str, int]
        Pins that the board needs to be 0 or 1.
    attributes : Mapping[str, str]
        Of all pins, as the family's constraints name them.
    programmer : Programmer
    config : AcceleratorConfig
    hertz : float
        Clock that is wanted of the accelerator.
    budget : Mapping[str, float]
        Resource to the per cent that may be taken.
    """

    name: str
    title: str
    part: Part
    oscillator: Oscillator
    uart: Uart
    programmer: Programmer
    config: AcceleratorConfig
    hertz: float
    led: Led | None = None
    sdram: Sdram | None = None
    memory_bytes: int = 0
    spram: bool = False
    tied: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    budget: Mapping[str, float] = field(default_factory=lambda: dict(BUDGET))

    def __post_init__(self) -> None:
        if (self.sdram is not None or self.memory_bytes > 0) == self.spram:
            raise ValueError(
                f"board {self.name} names {'two device memories' if self.spram else 'no memory'}; "
                "try [sdram], memory_bytes, both (then it is for the first bytes), or spram = true"
            )
        # Alone, block RAM answers all addresses; before an SDRAM, it answers those below its size.
        unit = 1024 if self.sdram else max(1024, 1 << (self.memory_bytes - 1).bit_length())
        if self.memory_bytes % unit:
            kind = "multiple of 1024" if self.sdram else "power of two from 1024"
            raise ValueError(
                f"memory_bytes={self.memory_bytes} of board {self.name} is no {kind}; try 16384"
            )
        if self.spram and not self.part.available.get("SPRAM"):
            raise ValueError(
                f"{self.part.name} of board {self.name} has no SPRAM; drop spram = true"
            )
        for pin, level in self.tied.items():
            if level not in (0, 1):
                raise ValueError(f"pin {pin} of board {self.name} is tied to {level}; try 0 or 1")
        for name, limit in self.budget.items():
            if name not in BUDGET or not 0 < limit <= 100:
                raise ValueError(
                    f"budget {name} = {limit} is no per cent of a resource; "
                    f"try one of {', '.join(BUDGET)} with 1 to 100"
                )

    @property
    def memory(self) -> str:
        """Device memory in words."""
        if self.sdram:
            part = self.sdram.part
            near = f"{self.memory_bytes >> 10} KB block RAM, then " if self.memory_bytes else ""
            return f"{near}{part.capacity >> 20} MB SDRAM x{part.data_bits}"
        return "128 KB SPRAM" if self.spram else f"{self.memory_bytes >> 10} KB block RAM"

    @classmethod
    def named(cls, name: str) -> "Board":
        """Read a board: one that comes with gcnloom, or a path that ends in ``.toml``."""
        stem = Path(name).stem if name.endswith(".toml") else name
        return cls.from_mapping(stem, board_table(name))

    @classmethod
    def from_mapping(cls, name: str, table: Mapping[str, Any]) -> "Board":
        """Build from a board file's table.

        Raises
        ------
        ValueError
            A key is unknown or missing, or a value is out of range.
        """
        where = f"board {name}"
        values = dict(table)
        if "config" in values:
            values["config"] = _config(values["config"])
        if "part" in values:
            values["part"] = part_named(values["part"])
        for key, kind in (("oscillator", Oscillator), ("uart", Uart), ("led", Led)):
            if key in values:
                values[key] = _filled(kind, values[key], f"{where}: [{key}]")
        if "programmer" in values:
            programmer = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in values["programmer"].items()
            }
            values["programmer"] = _filled(Programmer, programmer, f"{where}: [programmer]")
        if "sdram" in values:
            values["sdram"] = _sdram(values["sdram"], f"{where}: [sdram]")
        if "budget" in values:
            values["budget"] = BUDGET | values["budget"]
        board: Board = _filled(cls, {"name": name} | values, where)
        return board


def _filled(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """Make a value of a table, whose keys have to be the fields."""
    known = {each.name for each in fields(kind)}
    needed = {
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    }
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ValueError(f"{where} has unknown {', '.join(unknown)}; known are {sorted(known)}")
    missing = sorted(needed - set(values))
    if missing:
        raise ValueError(f"{where} has no {', '.join(missing)}; add it")
    return kind(**values)


def _config(values: str | Mapping[str, Any]) -> AcceleratorConfig:
    """Read a configuration: a name, or a table of a name and what differs from it."""
    if isinstance(values, str):
        return AcceleratorConfig.from_toml(values)
    changes = dict(values)
    if "base" not in changes:
        return AcceleratorConfig.from_mapping(changes)
    base = AcceleratorConfig.from_toml(changes.pop("base"))
    return AcceleratorConfig.from_mapping(asdict(base) | changes)


def _sdram(values: Mapping[str, Any], where: str) -> Sdram:
    pins = {key: tuple(str(value).split()) for key, value in values.get("pins", {}).items()}
    part = sdram_part(values.get("part", ""))
    widths = SDRAM_WIDTHS | {
        "ba": (part.banks - 1).bit_length(), "dqm": part.data_bits // 8, "dq": part.data_bits,
    }  # fmt: skip
    for name in ("clk", "ras", "cas", "we", "ba", "a", "dq"):
        if name not in pins:
            raise ValueError(
                f"{where} has no pins for {name}; add them, or use block RAM with memory_bytes"
            )
    for name, names in pins.items():
        if name != "a" and names != (INSIDE,) and len(names) != widths.get(name):
            raise ValueError(
                f"{where} has {len(names)} pins for {name}; {part.name} has {widths.get(name, 0)}"
            )
    filled: Sdram = _filled(Sdram, {**values, "part": part, "pins": pins}, where)
    return filled
