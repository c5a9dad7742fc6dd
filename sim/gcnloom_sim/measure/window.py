# SPDX-License-Identifier: Apache-2.0
"""What it takes to train in a part of the device memory that a graph needs."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gcnloom.device import Device
from gcnloom.errors import DeviceError
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.epoch import Epoch
from gcnloom.training.options import Options
from gcnloom.training.weights import weights_sha256
from gcnloom.transport import NOTHING_JUDGED, Ended, Judged, Watch, configuration
from gcnloom.transport.link import Moved
from gcnloom_sim.model import Model
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Streamed", "streamed"]

ENOUGH = 256 << 20
"""Bytes of device memory with which to find out how many are needed."""


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """A training through a window.

    Attributes
    ----------
    words, need : int
        Words of the device memory, and words in use.
    moved : Moved
        By the last epoch, its validation included.
    seconds, running : float
        That it took on the host, and those of them in which the model ran.
    weights_sha256 : str
    """

    words: int
    need: int
    moved: Moved
    seconds: float
    running: float
    weights_sha256: str


class _Timed(Model):
    """A model that knows how long its programs took."""

    _before = 0.0
    _since: float | None = None

    @property
    def running(self) -> float:
        """Seconds so far, those of a run under way included."""
        now = 0.0 if self._since is None else time.perf_counter() - self._since
        return self._before + now

    def run(
        self, program_address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        self._since = time.perf_counter()
        try:
            return super().run(
                program_address, commands, seed, step, judged=judged, watch=watch, keep=keep
            )
        finally:
            self._before, self._since = self.running, None


def streamed(
    data: str,
    config_name: str,
    parts: Sequence[int],
    settings: Options,
    progress: Callable[[str], None],
) -> Iterator[Streamed]:
    """Train on the model with enough memory, then with each of the parts of what is needed.

    Raises
    ------
    DeviceError
        A window leads to other weights.
    """
    graph = datasets.load(data, seed=settings.seed)
    config = configuration(config_name)
    progress(f"{data} on {config_name}, with enough memory")
    whole = _trained(graph, config, ENOUGH // config.memory_bytes, settings)
    yield whole
    for part in parts:
        progress(f"{data} on {config_name}, with 1/{part} of it")
        row = _trained(graph, config, whole.need // part, settings)
        if row.weights_sha256 != whole.weights_sha256:
            raise DeviceError(
                f"1/{part} of the memory leads to weights {row.weights_sha256[:16]}, not "
                f"{whole.weights_sha256[:16]}; try another part and tell us"
            )
        yield row


def _trained(graph: Graph, config: AcceleratorConfig, words: int, settings: Options) -> Streamed:
    model = _Timed(config, words)
    with Device(model) as device:
        trainer = trainer_for(graph, settings, device)
        seen = []

        def note(_: Epoch) -> None:
            seen.append((device.window.moved, time.perf_counter(), model.running))

        trainer.run(note)
        (before, begin, ran), (after, end, run) = seen[-2:]
        return Streamed(
            words=words, need=device.memory.used, moved=after - before, seconds=end - begin,
            running=run - ran, weights_sha256=weights_sha256(trainer.weights),
        )  # fmt: skip
