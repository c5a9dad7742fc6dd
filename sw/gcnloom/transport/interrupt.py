# SPDX-License-Identifier: Apache-2.0
"""Interruptions from the keyboard, held back while a run comes to a good end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["held_back"]


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Hold an interruption back in the block, and let it be asked for.

    Yields what says whether there was one. A second one is not held back. Outside of the main
    thread, which alone is interrupted, nothing is done.
    """
    asked: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(True)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
