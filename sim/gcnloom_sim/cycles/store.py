# SPDX-License-Identifier: Apache-2.0
"""Timeline of the store unit: the vectors it takes, packs and writes."""

from dataclasses import dataclass

from gcnloom_sim.cycles.flow import NEVER
from gcnloom_sim.cycles.reading import STORE, Port
from gcnloom_sim.cycles.timing import ACCEPTED, QUEUE, RESTART, Timing
from gcnloom_spec.commands import Store
from gcnloom_spec.isa import Source

__all__ = ["StoreUnit"]


@dataclass
class _Pending:
    """A store that still waits for vectors."""

    command: Store
    ready: float
    remaining: int
    taken: float = NEVER
    packed: float = NEVER


class StoreUnit:
    """Takes vectors for the oldest store; packs and writes them.

    Parameters
    ----------
    timing : Timing
    port : Port
        What writes them.
    """

    def __init__(self, timing: Timing, port: Port) -> None:
        self._timing, self._port = timing, port
        self._pending: list[_Pending] = []
        self._free = 0.0
        self._begun, self._ends = 0, list[float]()
        self._promised = dict.fromkeys(Source, 0)
        self.active = 0.0
        self.stalled = 0.0

    def expect(self, command: Store, ready: float) -> None:
        """Queue a store; the command that emits to it comes later in the program."""
        self._pending.append(_Pending(command, ready, command.count))

    @property
    def idle(self) -> bool:
        """Whether no store waits for vectors."""
        return not self._pending

    def begin(self, now: int) -> float | None:
        """Return when the unit takes over the next store; None if nobody knows yet."""
        if self._begun > len(self._ends):
            return None
        free = self._ends[self._begun - 1] + 1 if self._begun else 0.0
        self._begun += 1
        return max(now, free)

    def promise(self, source: int, count: int) -> None:
        """Say that so many vectors will come, which stores take that are queued."""
        self._promised[Source(source)] += count

    def covers(self, source: int, count: int) -> bool:
        """Return whether the oldest stores of all take so many more vectors of a source."""
        count += self._promised[Source(source)]
        for store in self._pending:
            if store.command.source != source:
                return False
            count -= store.remaining
            if count <= 0:
                return True
        return False

    def take(
        self, source: int, count: int, first: float, last: float
    ) -> tuple[float, float, list[tuple[Store, float]]]:
        """Take vectors that arrive from `first` to `last`.

        Returns when the first and the last were taken, and the stores that ended, with when.
        Two wait to be packed: the next is taken when the last but one has been.
        """
        step = (last - first) / max(count - 1, 1)
        done, ended = 0, []
        first_taken = last_taken = 0.0
        while done < count:
            store = self._next(source)
            packing = self._timing.stored(store.command.raw)
            words = packing.words_per_item
            some = min(count - done, store.remaining)
            if store.remaining == store.command.count:
                store.ready = max(store.ready, self._free) + 1
            begin = max(first + done * step, store.ready, store.taken + 1, store.packed - words + 1)
            start = max(begin, store.packed)
            packed = start + words * some
            last_taken = max(first + (done + some - 1) * step, begin + some - 1)
            if some > 1:
                last_taken = max(last_taken, packed - 2 * words + 1)
            packed = max(packed, last_taken + words)
            late, taken_late = self._write(store, some, start, packed)
            last_taken += taken_late
            first_taken = first_taken if done else begin
            done += some
            store.remaining -= some
            self._promised[Source(source)] -= some
            store.taken = last_taken
            # A word that waits holds up no vector but the one that fills the next.
            slack = packing.items_per_word * self._timing.packing_latency(packing)
            store.packed = packed + max(0.0, late - slack)
            if not store.remaining:
                store.packed = packed + late
                ended.append((store.command, self._finish(store)))
        return first_taken, last_taken, ended

    def _next(self, source: int) -> _Pending:
        return next(store for store in self._pending if store.command.source == source)

    def _write(self, store: _Pending, some: int, start: float, end: float) -> tuple[float, float]:
        """Hand on the words that `some` more vectors fill, packed from `start` to `end`.

        Returns how much later than that the last one is packed, and taken: two vectors or the
        word that they fill wait to be packed.
        """
        packing, count = self._timing.stored(store.command.raw), store.command.count
        before = count - store.remaining
        begin = before // packing.items_per_word * packing.words_per_item
        after = before + some
        words = after // packing.items_per_word * packing.words_per_item - begin
        if after == count:
            words = packing.words(count) - begin
        filled = min(start + packing.items_per_word - before % packing.items_per_word, end)
        latency = self._timing.packing_latency(packing)
        address = store.command.address + begin
        self._port.turn(STORE)
        leaving = latency + QUEUE
        late = self._port.store(address, words, filled + leaving, end + leaving)
        waiting = 1 + (2 if packing.items_per_word == 1 else 1) * packing.words_per_item
        return late[-1] if late else 0.0, late[-waiting] if len(late) >= waiting else 0.0

    def _finish(self, store: _Pending) -> float:
        packing = self._timing.stored(store.command.raw)
        end = store.packed + self._timing.packing_latency(packing) + QUEUE + ACCEPTED
        self._pending.remove(store)
        self._ends.append(end)
        self._free = end + RESTART - 1
        self.active += store.command.count
        self.stalled += end - store.ready + 1 - store.command.count
        return end
