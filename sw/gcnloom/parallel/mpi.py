# SPDX-License-Identifier: Apache-2.0
"""Workers as processes of MPI, through mpi4py."""

import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from gcnloom.errors import ConfigError
from gcnloom.parallel.communicator import Communicator, WorkerError

__all__ = ["MpiCommunicator", "launched", "world"]

LAUNCHERS = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")
"""What a launcher of MPI leaves in the environment of the processes that it starts."""
MISTAKE, INTERRUPTED = 2, 130
"""Exit codes."""
GRACE = 3.0
"""Seconds."""
PAUSE = 1e-4
"""Seconds between looks whether an exchange is done, in which the processor is another's."""


class MpiCommunicator(Communicator):
    """A worker that is a process.

    Parameters
    ----------
    handle : mpi4py.MPI.Comm
    """

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = handle
        self.rank, self.size = int(handle.Get_rank()), int(handle.Get_size())

    def exchange(self, pieces: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """Send ``pieces[i]`` to worker `i`; return what each sent here."""
        told = np.array([len(piece) for piece in pieces], dtype=np.int64)
        coming = np.empty_like(told)
        _finish(self._handle.Ialltoall(told, coming))
        for other, (there, size) in enumerate(zip(coming.tolist(), sizes, strict=True)):
            if there != size:
                raise WorkerError(
                    f"worker {other} sent {there} bytes to worker {self.rank}, which expects "
                    f"{size}; try the same graph and options on every worker"
                )
        sending = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        received = np.empty(sum(sizes), dtype=np.uint8)
        _finish(self._handle.Ialltoallv([sending, told.tolist()], [received, list(sizes)]))
        ends = np.cumsum([0, *sizes]).tolist()
        return [received[start:stop].tobytes() for start, stop in pairwise(ends)]

    def fail(self, error: BaseException) -> None:
        """Print the error and end every process."""
        if isinstance(error, KeyboardInterrupt):
            if self.rank:
                time.sleep(GRACE)  # The first worker keeps a checkpoint meanwhile.
            self._handle.Abort(INTERRUPTED)
        reason = f"worker {self.rank}: {str(error) or type(error).__name__}"
        print(f"gcnloom: error: {reason}", file=sys.stderr, flush=True)
        self._handle.Abort(MISTAKE)

    def channel(self) -> Communicator:
        """Open another connection to the same workers.

        Raises
        ------
        ConfigError
            The library lets one thread at a time exchange only.
        """
        mpi = import_module("mpi4py.MPI")
        if mpi.Query_thread() < mpi.THREAD_MULTIPLE:
            raise ConfigError(
                f"this library of MPI gives threads level {mpi.Query_thread()} of "
                f"{mpi.THREAD_MULTIPLE}, and nothing can be exchanged in the background; "
                "try MPICH, or --no-ahead where batches are sampled"
            )
        return MpiCommunicator(self._handle.Dup())


def launched() -> bool:
    """Whether a launcher of MPI, ``mpiexec`` for example, started this process."""
    return any(name in os.environ for name in LAUNCHERS)


def world() -> MpiCommunicator:
    """Return this process's end of the connections between all.

    Raises
    ------
    ConfigError
        mpi4py, or a library of MPI, is not installed.
    """
    try:
        mpi = import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:
        raise ConfigError(
            f"workers that are processes need mpi4py and a library of MPI ({error}); "
            "try `pip install 'gcnloom[parallel]'`"
        ) from error
    return MpiCommunicator(mpi.COMM_WORLD)


def _finish(request: Any) -> None:
    """Wait for an exchange and let others run meanwhile: the device, for one."""
    while not request.Test():
        time.sleep(PAUSE)
