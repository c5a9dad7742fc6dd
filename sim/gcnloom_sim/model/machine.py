# SPDX-License-Identifier: Apache-2.0
"""Model: executes encoded programs in program order, bit for bit as the gateware does."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError, DeviceError, ProgramError
from gcnloom.programs.dependence import accesses_of
from gcnloom.programs.encoding import LIMBS, decode
from gcnloom.programs.repeating import Sequencer
from gcnloom.tensors.items import pack_elements
from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, Judged, Watch
from gcnloom.transport.interrupt import held_back
from gcnloom_sim.model.checks import check_known, check_range
from gcnloom_sim.model.dense import DenseEngine
from gcnloom_sim.model.epilogue import Epilogue
from gcnloom_sim.model.flow import Tokens, Waiting
from gcnloom_sim.model.memories import Memories
from gcnloom_sim.model.sparse import SparseEngine
from gcnloom_sim.model.traffic import counted, loss_traffic, step_traffic
from gcnloom_sim.model.update import Update
from gcnloom_spec.commands import (
    Aggregate,
    Command,
    Drain,
    Emission,
    Load,
    Loss,
    Repeat,
    Scale,
    Step,
    Store,
    Transform,
)
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES, ISA_VERSION, Destination, Mode, Source, Target

__all__ = ["Model", "open_model"]


class Model:
    """A transport whose device is NumPy.

    Memories keep their contents between programs. A program that breaks the contract raises
    :class:`~gcnloom.errors.ProgramError`, which names the command. Counters that depend on
    time stay zero.

    Parameters
    ----------
    config : AcceleratorConfig
    memory_words : int
        Words of device memory.
    """

    def __init__(self, config: AcceleratorConfig, memory_words: int) -> None:
        self.config = config
        self.memory_words = memory_words
        self._memory = np.zeros(memory_words * config.memory_bytes, dtype=np.uint8)
        self._memories = Memories(config)
        self._sparse = SparseEngine(config)
        self._dense = DenseEngine(config)
        self._update = Update(config, self._bytes)
        self._epilogue = Epilogue(config, self._update.scales)
        self._begin()

    def _begin(self) -> None:
        self._tokens = Tokens()
        self._stores = Waiting[Store]("store", self._write_items, self._tokens.signal)
        self._steps = Waiting[Step]("step", self._step, self._tokens.signal)
        self._counters: Counter[str] = Counter()
        self._sparse.begin()

    def identity(self) -> Identity:
        """Return version, configuration and memory of the device."""
        return Identity(
            isa_version=ISA_VERSION,
            config_digest=self.config.digest,
            config=self.config,
            memory_words=self.memory_words,
        )

    def write(self, address: int, data: bytes) -> None:
        """Write whole words of device memory."""
        part = self._bytes(address, -(-len(data) // self.config.memory_bytes))
        part[: len(data)] = np.frombuffer(data, dtype=np.uint8)

    def read(self, address: int, words: int) -> bytes:
        """Read whole words of device memory."""
        return self._bytes(address, words).tobytes()

    def close(self) -> None:
        """Forget the device memory."""
        self._memory = np.zeros(0, dtype=np.uint8)
        self.memory_words = 0

    def counters(self) -> dict[str, int]:
        """Return the counters of the last run; those that depend on time are zero."""
        return counted(self._counters, self.config)

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return envelopes and saturations of the last run, by tensor id."""
        return self._epilogue.envelopes.copy(), self._epilogue.saturations.copy()

    def scales(self) -> NDArray[np.int64]:
        """Return exponents, wanted exponents and shifts, a row each, by tensor id."""
        return self._update.scales.table.copy()

    def run(
        self, program_address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Execute a program that lies in device memory."""
        if watch is None:
            return self.obey(program_address, commands, seed, step, judged=judged, keep=keep)
        with held_back() as asked:
            ended = self.obey(
                program_address, commands, seed, step, judged=judged, keep=keep, watch=watch,
                finish=asked,
            )  # fmt: skip
            return replace(ended, interrupted=asked())

    def obey(
        self, start: int, commands: int, seed: int, step: int, *, judged: Judged, keep: bool,
        watch: Watch = lambda _: None, finish: Callable[[], bool] = lambda: False,
    ) -> Ended:  # fmt: skip
        """Execute one program after the other until the run ends, or is asked to `finish`."""
        for name, value in (("seed", seed), ("step", step)):
            if not 0 <= value < 1 << 32:
                raise DeviceError(f"{name}={value} is no 32-bit word; try 0..{(1 << 32) - 1}")
        self._begin()
        self._epilogue.begin(seed=seed, step=step, keep=keep)
        self._update.judged = judged
        sequencer = Sequencer(step=step, count=commands)
        fetch = cache(self._fetch)
        while sequencer.count:
            self._counters["program_words"] += self._words(sequencer.count)
            *body, last = fetch(start + sequencer.offset, sequencer.count)
            self._counters["commands"] += isinstance(last, Repeat)
            check_known(last, self.config)
            if not isinstance(last, Repeat):
                body, last = [*body, last], Repeat()
            self._execute_all(cast("list[Command]", body))
            sequencer.follow(last, worse=self._update.judged.worse, finish=finish())
            self._epilogue.key = self._epilogue.key[0], sequencer.step
            if last.advance:
                watch(sequencer.step)
        return Ended(step=sequencer.step, judged=self._update.answer)

    def _words(self, commands: int) -> int:
        return -(-commands * COMMAND_BYTES // self.config.memory_bytes)

    def _fetch(self, address: int, commands: int) -> Sequence[Command | Repeat]:
        raw = self._bytes(address, self._words(commands))[: commands * COMMAND_BYTES]
        return decode(raw.copy().view("<u8").astype(np.uint64).reshape(commands, LIMBS))

    def _execute_all(self, program: Sequence[Command]) -> None:
        for index, command in enumerate(program):
            try:
                self._execute(index, command)
            except ProgramError as error:
                name = command.opcode.name.lower()
                raise ProgramError(f"command {index} ({name}): {error}") from error
        self._stores.check_empty()
        self._steps.check_empty()
        self._tokens.check_empty()

    def _execute(self, index: int, command: Command) -> None:
        if isinstance(command, Repeat):
            raise ProgramError("a repeat that is not a program's last; try one program each")
        check_known(command, self.config)
        self._tokens.wait(command)
        self._counters["commands"] += 1
        match command:
            case Load():
                self._load(command)
            case Aggregate():
                edges, operand = self._memories.edges, self._memories.operand
                self._counters["edges"] += self._sparse.aggregate(command, edges, operand)
                self._counters["edge_slots"] += command.count * self.config.pes
            case Drain():
                sums = self._sparse.drain(command, self._memories.order)
                self._counters["drain_entries"] += command.count
                self._emit(command.emission, sums, Source.AGGREGATE, Target.MASK_AGGREGATE)
            case Transform():
                self._transform(command)
            case Store():
                self._store(index, command)
                return
            case Loss():
                self._update.loss(command, self._epilogue, self._epilogue.key[1])
                self._counters.update(loss_traffic(command, self.config))
            case Step():
                check_range("vectors", 0, command.count, 1 << LOCAL_BITS)
                self._steps.expect(index, command)
                self._counters.update(step_traffic(command, self.config))
                return
            case Scale():
                self._update.scales.execute(command, self._epilogue.envelopes)
        self._tokens.signal(command)

    def _load(self, command: Load) -> None:
        check_range("items", 0, command.count, 1 << LOCAL_BITS)
        words = self._memories.packing(command.target).words(command.count)
        self._memories.load(command, self._bytes(command.address, words))
        self._counters[f"{Target(command.target).name.lower()}_words"] += words

    def _transform(self, command: Transform) -> None:
        self._check_overlap(command)
        sums = self._dense.transform(command, self._memories.left, self._memories.right)
        if command.mode != Mode.PASS:
            self._counters["transform_rows"] += command.count
        self._emit(command.emission, sums, Source.TRANSFORM, Target.MASK_TRANSFORM)

    def _check_overlap(self, command: Transform) -> None:
        """Rows that are read late and written early would be read in an undefined state."""
        if command.emission.destination in (Destination.NONE, Destination.OPERAND):
            return
        accesses = accesses_of(command, self.config)
        for written in (access for access in accesses if access.write):
            for read in (access for access in accesses if not access.write):
                if read.space == written.space and (
                    read.low < written.high and written.low < read.high
                ):
                    raise ProgramError(
                        f"reads and writes rows {read.low}..{read.high - 1} of {read.space}; "
                        "try another destination"
                    )

    def _store(self, index: int, command: Store) -> None:
        check_range("vectors", 0, command.count, 1 << LOCAL_BITS)
        packing = self.config.sums if command.raw else self.config.vector
        words = packing.words(command.count)
        self._bytes(command.address, words)
        self._counters["store_words"] += words
        self._stores.expect(index, command)

    def _emit(
        self, emission: Emission, sums: NDArray[np.int64], source: Source, mask: Target
    ) -> None:
        if emission.raw and emission.destination:
            raise ProgramError("raw sums go to a store or a step; try without a destination")
        if emission.step and not emission.raw:
            raise ProgramError("a step takes raw sums; try raw=1")
        vectors = self._epilogue.apply(emission, sums, self._memories.masks[mask])
        if not len(vectors):
            return
        if emission.destination:
            self._memories.write(
                emission.destination, emission.destination_base, emission.destination_bank, vectors
            )
        if emission.store:
            self._stores.take(source, vectors, raw=emission.raw)
        if emission.step:
            self._steps.take(source, vectors, raw=emission.raw)

    def _step(self, command: Step, done: int, vectors: NDArray[np.int64]) -> None:
        self._update.step(command, done, vectors, self._epilogue, self._epilogue.key)

    def _write_items(self, store: Store, done: int, vectors: NDArray[np.int64]) -> None:
        config = self.config
        packing = config.sums if store.raw else config.vector
        size = config.sum_bytes if store.raw else config.operand_bytes
        start = store.address * config.memory_bytes + done * packing.item_bytes
        items = pack_elements(vectors, size, packing).reshape(-1)
        self._memory[start : start + items.size] = items

    def _bytes(self, address: int, words: int) -> NDArray[np.uint8]:
        if words:
            check_range("device words", address, words, self.memory_words)
        size = self.config.memory_bytes
        return self._memory[address * size : (address + words) * size]


def open_model(
    config: AcceleratorConfig,
    *,
    memory_megabytes: int = 64,
    memory: object = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Model:
    """Open a model with the given amount of memory; nothing is built, so `progress` rests.

    Raises
    ------
    ConfigError
        `memory` is given: how long a memory takes means nothing without a clock.
    """
    if memory is not None:
        raise ConfigError(
            f"memory={str(memory)!r} says how long a memory takes, and the model has no clock; "
            "try it with device rtl"
        )
    return Model(config, (memory_megabytes << 20) // config.memory_bytes)
