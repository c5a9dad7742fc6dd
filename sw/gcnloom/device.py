# SPDX-License-Identifier: Apache-2.0
"""Device: load, write, run, read, counters; the same for every transport."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.errors import DeviceError, ProgramError
from gcnloom.lower.multiply import Multiplication, lower_gemm, lower_spmm
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Routine
from gcnloom.tensors.memory import ADDRESSABLE, Allocator, TensorLayout
from gcnloom.tensors.quantised import quantised
from gcnloom.transport import NOTHING_JUDGED, Ended, Judged, Transport, Watch, connect
from gcnloom.transport.window import Window
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES, ISA_VERSION

__all__ = ["Device", "RunResult", "open"]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What one run leaves behind.

    Attributes
    ----------
    counters : dict[str, int]
        By the names of :data:`gcnloom_spec.registers.COUNTERS`.
    envelopes : NDArray[np.int64]
        For each tensor id, see :func:`gcnloom_spec.number.envelope`.
    saturations : NDArray[np.int64]
        For each tensor id, results that were clipped.
    ended : Ended
        The step it came to, and what it judged.
    """

    counters: dict[str, int]
    envelopes: NDArray[np.int64]
    saturations: NDArray[np.int64]
    ended: Ended


class Device:
    """An accelerator with its memory.

    More may be placed than its memory holds: the host then keeps it and streams.

    Parameters
    ----------
    transport : Transport

    Attributes
    ----------
    config : AcceleratorConfig
        Sizes of the accelerator.
    memory : Allocator
        Regions of its device memory; tensors are placed with ``memory.allocate``.
    window : Window
        Says whether the host streams, and what goes over the link.

    Examples
    --------
    >>> with gcnloom.device.open("model:smallest") as device:  # doctest: +SKIP
    ...     result = device.run(program)
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        identity = transport.identity()
        if identity.isa_version != ISA_VERSION:
            raise DeviceError(
                f"the device speaks version {identity.isa_version} of the command set, this "
                f"host version {ISA_VERSION}; try gateware and software of the same release"
            )
        if identity.config_digest != identity.config.digest:
            raise DeviceError(
                f"the device was built for configuration {identity.config_digest}, not "
                f"{identity.config.digest}; try opening it with its own configuration"
            )
        self.config: AcceleratorConfig = identity.config
        self.window = Window(transport)
        self.memory = self.empty_memory()
        self._loaded: tuple[int, Program | Routine] | None = None
        self._total: Counter[str] = Counter()

    def __enter__(self) -> "Device":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def clear(self, memory: Allocator | None = None) -> None:
        """Forget every region and program, so that another model can be placed.

        Parameters
        ----------
        memory : Allocator, optional
            Regions of what is going to be written, which began as :meth:`empty_memory`.
        """
        self.memory = self.empty_memory() if memory is None else memory
        self.window.forget()
        self._loaded = None

    def empty_memory(self) -> Allocator:
        """Return what hands out regions of a memory that holds nothing."""
        return Allocator(self.window.words, self.config.memory_bytes, ADDRESSABLE)

    def close(self) -> None:
        """Give the device back."""
        self.window.close()

    def load(self, program: Program | Routine) -> int:
        """Write a program to device memory, unless it is there already; return its address.

        A program replaces the previous one where it fits into its region.
        """
        self._check(program)
        if self._loaded is not None and self._loaded[1] is program:
            return self._loaded[0]
        if isinstance(program, Routine):
            words = program.words
        else:
            words = -(-len(program) * COMMAND_BYTES // self.config.memory_bytes)
        address = self._program_region(words)
        self.window.cover(self.memory.used)
        data = program.to_bytes()
        self._loaded = None  # should the writing be interrupted, neither program is there
        self.window.write(address, data + bytes(words * self.config.memory_bytes - len(data)))
        self._loaded = (address, program)
        return address

    def write(self, layout: TensorLayout, array: NDArray[np.integer]) -> None:
        """Write a tensor's mantissas or sums."""
        self._check_layout(layout)
        self.window.write(layout.address, layout.pack(array))

    def read(self, layout: TensorLayout) -> NDArray[np.int64]:
        """Read a tensor's mantissas or sums."""
        self._check_layout(layout)
        return layout.unpack(self.window.read(layout.address, layout.words))

    def write_bytes(self, address: int, data: bytes) -> None:
        """Write whole words of packed items: edge beats, drain orders."""
        if len(data) % self.config.memory_bytes:
            raise DeviceError(
                f"{len(data)} bytes are not whole words of {self.config.memory_bytes}; "
                "try padding them"
            )
        self._check_words(address, len(data) // self.config.memory_bytes)
        self.window.write(address, data)

    def read_bytes(self, address: int, words: int) -> bytes:
        """Read whole words."""
        self._check_words(address, words)
        return self.window.read(address, words)

    def run(
        self, program: Program | Routine, seed: int = 0, step: int = 0, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None,
    ) -> RunResult:  # fmt: skip
        """Load `program` if need be, run it and return what it counted.

        `seed` and `step` key the random bits of dropout and stochastic rounding; what a routine
        judges comes after `judged`. See :meth:`gcnloom.transport.Transport.run` for `watch`.
        """
        address = self.load(program)
        count = program.first_commands if isinstance(program, Routine) else len(program)
        ended = self.window.run(address, count, seed, step, judged=judged, watch=watch)
        envelopes, saturations = self.window.statistics()
        result = RunResult(
            counters=self.window.counters(), envelopes=envelopes, saturations=saturations,
            ended=ended,
        )  # fmt: skip
        self._total.update(result.counters)
        return result

    def scales(self) -> NDArray[np.int64]:
        """Return exponents, wanted exponents and shifts, a row each, by tensor id."""
        return self.window.scales()

    def spmm(self, sparse: Any, dense: Any) -> NDArray[np.float64]:
        """``sparse @ dense`` on the sparse engine.

        Parameters
        ----------
        sparse : csr_array
            Shape ``(rows, inner)``, real.
        dense : array_like
            Shape ``(inner, columns)``, real.

        Returns
        -------
        NDArray[np.float64]
            Exact product of the matrices rounded to ``config.operand_width`` bits, each at one
            power of two; exact altogether where they are integers of so many bits, the most
            negative one excepted.

        Examples
        --------
        >>> with gcnloom.open("model") as device:  # doctest: +SKIP
        ...     device.spmm(scipy.sparse.eye_array(3, format="csr"), np.arange(6).reshape(3, 2))
        """
        matrix, exponent = quantised("sparse", csr_array(sparse), self.config)
        return self._product(lower_spmm, (matrix, exponent), dense)

    def gemm(self, left: Any, right: Any) -> NDArray[np.float64]:
        """``left @ right`` of dense matrices on the systolic array; rounds as :meth:`spmm`."""
        return self._product(lower_gemm, quantised("left", left, self.config), right)

    def counters(self) -> dict[str, int]:
        """Sum of the counters of every run so far."""
        return dict(self._total)

    def _product(
        self, lower: Callable[..., Multiplication], left: tuple[Any, int], right: Any
    ) -> NDArray[np.float64]:
        mantissas, exponent = quantised("dense", right, self.config)
        with self.memory.scratch():
            product = lower(left[0], mantissas, self.config, self.memory)
            for address, data in product.blobs:
                self.write_bytes(address, data)
            self.run(product.program)
            sums = self.read(product.result).astype(np.float64)
        self._loaded = None
        return np.ldexp(sums, left[1] + exponent)

    def _program_region(self, words: int) -> int:
        names = [name for name in self.memory.regions if name.startswith("program ")]
        for name in names:
            if len(self.memory.regions[name]) >= words:
                return self.memory.regions[name].start
        return self.memory.allocate(f"program {len(names)}", words)

    def _check(self, program: Program | Routine) -> None:
        if isinstance(program, Routine):
            for part in program.parts:
                self._check(part.program)
            return
        if program.isa_version != ISA_VERSION:
            raise ProgramError(
                f"program is for version {program.isa_version} of the command set, the device "
                f"speaks version {ISA_VERSION}; try lowering the model again"
            )
        if program.config_digest != self.config.digest:
            raise ProgramError(
                f"program is for configuration {program.config_digest}, device is "
                f"{self.config.digest}; try lowering the model again with device.config"
            )

    def _check_layout(self, layout: TensorLayout) -> None:
        if layout.config != self.config:
            raise DeviceError(
                f"the tensor is laid out for configuration {layout.config.digest}, device is "
                f"{self.config.digest}; try a layout made with device.config"
            )
        self._check_words(layout.address, layout.words)

    def _check_words(self, address: int, words: int) -> None:
        there = max(self.memory.words, self.memory.used)
        if address < 0 or address + words > there:
            raise DeviceError(
                f"words {address}..{address + words - 1} are outside the device memory of "
                f"{there} words; try an address from memory.allocate"
            )
        self.window.cover(self.memory.used)


def open(spec: str, config: AcceleratorConfig | None = None, **options: Any) -> Device:
    """Open the device that `spec` names; see :func:`gcnloom.transport.connect`."""
    return Device(connect(spec, config, **options))
