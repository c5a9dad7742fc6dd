# SPDX-License-Identifier: Apache-2.0
"""Links by bandwidth and latency, and what an epoch takes on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gcnloom.errors import ConfigError

__all__ = ["Link", "epoch_seconds"]


@dataclass(frozen=True, kw_only=True)
class Link:
    """What joins each worker to all others, and to where features are kept.

    Parameters
    ----------
    name : str
    bandwidth : float
        Bytes a second that a worker sends, while it receives as many.
    latency : float
        Seconds that each of its messages takes beside.
    """

    name: str
    bandwidth: float
    latency: float

    def __post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise ConfigError(
                f"link {self.name!r}: bandwidth={self.bandwidth!r} moves nothing; try 125e6"
            )
        if not self.latency >= 0:
            raise ConfigError(f"link {self.name!r}: latency={self.latency!r} is negative; try 0")


def epoch_seconds(per_worker: Mapping[str, Sequence[float]], link: Link, clock: float) -> float:
    """Modelled time of an epoch: ``C / clock + M * latency + B / bandwidth``.

    C, M and B are of the busiest worker, of each by itself: cycles, or where the executor has no
    clock the beats in which its engines multiply, one engine after the other; messages; and bytes,
    features that it fetches among them. Nothing overlaps, as workers wait for their exchanges.

    Parameters
    ----------
    per_worker : mapping of str to sequence of float
        ``cycles``, ``beats``, ``messages``, ``bytes`` and ``fetched_bytes`` of an epoch, by rank.
    link : Link
    clock : float
        Hertz of the devices.

    Examples
    --------
    >>> numbers = dict(cycles=[0], beats=[50], messages=[2], bytes=[30], fetched_bytes=[10])
    >>> epoch_seconds(numbers, Link(name="slow", bandwidth=10, latency=0.5), clock=100)
    5.5
    """
    cycles = max(per_worker["cycles"]) or max(per_worker["beats"])
    moved = zip(per_worker["bytes"], per_worker["fetched_bytes"], strict=True)
    return (
        cycles / clock
        + max(per_worker["messages"]) * link.latency
        + max(map(sum, moved)) / link.bandwidth
    )
