# SPDX-License-Identifier: Apache-2.0
"""Memory models: how long the device memory takes, for the simulator and the cycle model."""

import re
from dataclasses import astuple, dataclass, fields, replace

from gcnloom.errors import ConfigError
from gcnloom_hw.memory.tiered import TieredMemory

__all__ = [
    "DRAMS", "IDEAL", "LATENCY", "QUEUE", "Bus", "Dram", "Memory", "Tiered", "memory_model",
    "numbers",
]  # fmt: skip

LATENCY = 8
"""Cycles from a read request to its answer, where nothing else is said."""
QUEUE = 8
"""Requests that a memory with less than a word a cycle for each direction holds back."""
KB = 1024
MOST = 1 << 16


def _check(name: str, value: int) -> None:
    if type(value) is not int or not 1 <= value <= MOST:
        raise ConfigError(f"{name}={value!r} is outside 1..{MOST}; try {LATENCY}")


@dataclass(frozen=True, kw_only=True)
class Bus:
    """A memory that moves so many bytes a cycle, in whatever order they are asked for.

    Parameters
    ----------
    bytes_per_cycle : int or None
        Shared by reads and writes. None: a word each in every cycle, whatever its size.
    latency : int
        Cycles from a read to its answer where no other request is in the way.
    """

    bytes_per_cycle: int | None = None
    latency: int = LATENCY

    def __post_init__(self) -> None:
        _check("latency", self.latency)
        if self.bytes_per_cycle is not None:
            _check("bytes_per_cycle", self.bytes_per_cycle)

    def __str__(self) -> str:
        return f"{self.bytes_per_cycle or 'ideal'}/{self.latency}"


@dataclass(frozen=True, kw_only=True)
class Dram:
    """A DRAM behind an in-order controller that leaves rows open; times in accelerator clocks.

    Commands are issued in the order of the requests, one a clock: what opens the next word's
    row may run behind the data of the word before, if that is in another bank. A word is one
    or more bursts in one row. Consecutive rows of an address lie in consecutive banks. tRC is
    never longer than `active` and `precharge` together, and activations are further apart than
    tRRD and tFAW ask for, so that those need no number.

    Parameters
    ----------
    name : str
        What :func:`memory_model` calls it.
    bytes_per_clock : int
        Most that its pins move.
    least_burst, most_burst : int
        Bytes of a burst: a shorter one takes as long as `least_burst`.
    banks, row_bytes : int
        Rows that may be open, and bytes of one.
    activate : int
        tRCD, from opening a row to reading or writing it.
    precharge : int
        tRP, from closing a row to opening another in its bank.
    active : int
        tRAS, from opening a row to closing it.
    read, write : int
        From the command to its first data: CAS latency, and that of writes.
    write_recovery : int
        tWR, from the last data written to closing their row.
    write_to_read : int
        From the last data written to a read command.
    read_to_write : int
        From the last data read to the first written.
    refresh, refresh_interval : int
        tRFC and tREFI: all rows are closed and nothing moves for `refresh` clocks.
    request, answer : int
        Clocks from a request to its first command, and from the last data to the answer.
    turn : int
        Requests of one direction in a row while the other one waits.
    """

    name: str
    bytes_per_clock: int
    least_burst: int
    most_burst: int
    banks: int
    row_bytes: int
    activate: int
    precharge: int
    active: int
    read: int
    write: int
    write_recovery: int
    write_to_read: int
    read_to_write: int
    refresh: int
    refresh_interval: int
    request: int
    answer: int
    turn: int

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("name", "write"):
                _check(field.name, getattr(self, field.name))
        if not 0 <= self.write <= MOST:
            raise ConfigError(f"write={self.write} is outside 0..{MOST}; try 0")
        if self.least_burst > self.most_burst or self.most_burst % self.bytes_per_clock:
            raise ConfigError(
                f"bursts of {self.least_burst} to {self.most_burst} bytes are no whole clocks of "
                f"{self.bytes_per_clock}; try the same multiple of that for both"
            )
        if self.row_bytes % 256:
            raise ConfigError(
                f"a row of {self.row_bytes} bytes cuts words of 256; try a multiple of that"
            )
        if self.refresh_interval <= self.refresh + self.precharge:
            raise ConfigError(
                f"refresh_interval={self.refresh_interval} leaves no time between refreshes of "
                f"{self.refresh}; try 780"
            )

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class Tiered:
    """A memory whose first words lie in block RAM, as behind a :class:`TieredMemory`.

    Parameters
    ----------
    near_kilobytes : int
        In block RAM.
    far : Bus or Dram
        What holds the others, with less than a word a cycle each way.
    """

    near_kilobytes: int
    far: Bus | Dram

    def __post_init__(self) -> None:
        _check("near_kilobytes", self.near_kilobytes)
        if isinstance(self.far, Bus) and self.far.bytes_per_cycle is None:
            raise ConfigError(
                f"{self.far} behind block RAM is no slower than that; try it alone, or a memory "
                "such as sdram16"
            )

    def __str__(self) -> str:
        return f"{self.far}+{self.near_kilobytes}K"

    @property
    def near_bytes(self) -> int:
        """Bytes of block RAM."""
        return KB * self.near_kilobytes


Memory = Bus | Dram | Tiered

IDEAL = Bus()
"""A word each way in every cycle."""

DRAMS = {
    dram.name: dram
    for dram in (
        # 32 MB parts such as MT48LC16M16A2-75, four banks of 8192 rows of 512 columns, at
        # 100 MHz: tRCD = tRP = 20 ns, tRAS 44 ns, tWR 15 ns, tRFC 66 ns, 8192 refreshes in
        # 64 ms; bursts of up to eight transfers. Registers at the pins, in and out.
        Dram(
            name="sdram16",
            bytes_per_clock=2,
            least_burst=2,
            most_burst=16,
            banks=4,
            row_bytes=1024,
            activate=2,
            precharge=2,
            active=5,
            read=3,
            write=0,
            write_recovery=2,
            write_to_read=1,
            read_to_write=2,
            refresh=7,
            refresh_interval=781,
            request=3,
            answer=4,
            turn=16,
        ),
        # 256 MB parts such as MT41K128M16, eight banks of rows of 2 KB, at 200 MHz (DDR3-400)
        # behind a 1:2 interface, so that a clock of 100 MHz moves four transfers: tRCD = tRP =
        # 13.75 ns, tRAS 35 ns, CL 6 and CWL 5 of 5 ns, tWR 15 ns and tWTR 20 ns from the end of
        # the data, tRFC 160 ns; bursts are always eight transfers. Serialisers take ten clocks.
        Dram(
            name="ddr3-16",
            bytes_per_clock=8,
            least_burst=16,
            most_burst=16,
            banks=8,
            row_bytes=2048,
            activate=2,
            precharge=2,
            active=4,
            read=3,
            write=3,
            write_recovery=3,
            write_to_read=3,
            read_to_write=2,
            refresh=16,
            refresh_interval=780,
            request=2,
            answer=10,
            turn=16,
        ),
    )
}
"""Boards' memories by name."""

TEXT = re.compile(r"(ideal|[0-9]+)(?:/([0-9]+))?", re.ASCII)
NEAR = re.compile(r"(.+)\+([0-9]+)K", re.ASCII)


def memory_model(text: str | Memory, latency: int | None = None) -> Memory:
    """Read a memory model.

    Parameters
    ----------
    text : str or Memory
        ``"ideal"``, bytes a cycle, either of them with ``"/"`` and cycles of latency, or a name
        of :data:`DRAMS`; behind them ``"+128K"`` where the first 128 KB lie in block RAM. A model
        is returned as it is.
    latency : int, optional
        Instead of the latency in `text`.

    Examples
    --------
    >>> memory_model("16/20")
    Bus(bytes_per_cycle=16, latency=20)
    """
    model = _parsed(text) if isinstance(text, str) else text
    if latency is None:
        return model
    timed = model.far if isinstance(model, Tiered) else model
    if isinstance(timed, Dram):
        raise ConfigError(
            f"latency={latency} is given with {model}, whose latency follows from its timing; "
            "try without"
        )
    timed = replace(timed, latency=latency)
    return replace(model, far=timed) if isinstance(model, Tiered) else timed


def _parsed(text: str) -> Memory:
    tiers = NEAR.fullmatch(text)
    if tiers is not None:
        return Tiered(far=_alone(tiers[1]), near_kilobytes=int(tiers[2]))
    return _alone(text)


def _alone(text: str) -> Bus | Dram:
    """Read a memory without block RAM in front of it."""
    if text in DRAMS:
        return DRAMS[text]
    found = TEXT.fullmatch(text)
    if found is None:
        names = ", ".join(DRAMS)
        raise ConfigError(
            f"unknown memory {text!r}; try ideal, BYTES a cycle such as 16, with a latency such "
            f"as 16/20, or one of {names}; with block RAM such as {names.partition(',')[0]}+128K"
        )
    width, latency = found.groups()
    return Bus(
        bytes_per_cycle=None if width == "ideal" else int(width),
        latency=LATENCY if latency is None else int(latency),
    )


def numbers(model: Memory) -> tuple[int, ...]:
    """List a model's numbers in the order of ``MemoryNumbers`` in ``memory.h``."""
    near = (0, 0, 0)
    if isinstance(model, Tiered):
        near = model.near_bytes, TieredMemory.latency, TieredMemory.near_reads
        model = model.far
    if isinstance(model, Dram):
        return QUEUE, 0, 0, *astuple(model)[1:], *near
    unused = (0,) * (len(fields(Dram)) - 1)
    return QUEUE, model.bytes_per_cycle or 0, model.latency, *unused, *near
