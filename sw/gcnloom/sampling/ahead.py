# SPDX-License-Identifier: Apache-2.0
"""Work that goes on in a thread of its own until its result is wanted."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Ahead"]

Result = TypeVar("Result")


class Ahead(Generic[Result]):
    """Begin to work at once; an error is raised where the result is asked for.

    Parameters
    ----------
    work : callable
        Shares nothing that changes with anybody else.

    Examples
    --------
    >>> Ahead(lambda: 6 * 7).result()
    42
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._result: Result | None = None
        self._error: BaseException | None = None
        # No daemon: it may be exchanging with other workers, and a program that ends waits for it.
        self._thread = threading.Thread(target=self._run, name="ahead")
        self._thread.start()

    def result(self) -> Result:
        """Wait for the end of the work; return its result, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
