# SPDX-License-Identifier: Apache-2.0
"""Starting workers: threads of this process, or this process as one of MPI's."""

from collections.abc import Callable
from typing import TypeVar

from gcnloom.device import Device
from gcnloom.errors import ConfigError
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.mpi import launched, world
from gcnloom.parallel.threads import PATIENCE, run_threads

__all__ = ["device_of", "open_in_turn", "run_workers"]

Result = TypeVar("Result")


def run_workers(
    workers: int | None, work: Callable[[Communicator], Result], *, timeout: float = PATIENCE
) -> Result:
    """Run `work` as every worker.

    A process that ``mpiexec`` started is one of them, and an error there ends all processes.
    Otherwise they are threads.

    Parameters
    ----------
    workers : int or None
        How many; None under ``mpiexec``, which has said so.
    work : callable
        Is given the worker's communicator.
    timeout : float
        Seconds that a thread waits for the others at most.

    Returns
    -------
    object
        What this process's worker returned, the first of all threads.
    """
    if not launched():
        if workers is None:
            raise ConfigError(
                "how many workers are wanted is not said; try --workers 2, or mpiexec -n 2"
            )
        return run_threads(workers, work, timeout=timeout)[0]
    communicator = world()
    if workers not in (None, communicator.size):
        raise ConfigError(
            f"workers={workers} and mpiexec started {communicator.size}; "
            f"try mpiexec -n {workers}, or leave the workers out"
        )
    try:
        return work(communicator)
    except BaseException as error:
        communicator.fail(error)
        raise


def open_in_turn(communicator: Communicator, opened: Callable[[], Device]) -> Device:
    """Open this worker's device, one worker after the other: the first may build a simulator."""
    for _ in range(communicator.rank):
        communicator.barrier()
    device = opened()
    try:
        for _ in range(communicator.size - communicator.rank):
            communicator.barrier()
    except BaseException:
        device.close()
        raise
    return device


def device_of(names: str, rank: int, workers: int) -> str:
    """Name of a worker's device, of one name for all or of one for each, by commas.

    Examples
    --------
    >>> device_of("serial:///dev/ttyUSB0,serial:///dev/ttyUSB1", 1, 2)
    'serial:///dev/ttyUSB1'
    >>> device_of("model", 1, 2)
    'model'
    """
    each = names.split(",")
    if len(each) == 1:
        return each[0]
    if len(each) != workers:
        raise ConfigError(
            f"device={names!r} names {len(each)} devices for {workers} workers; "
            "try one name, or one for each worker"
        )
    return each[rank]
