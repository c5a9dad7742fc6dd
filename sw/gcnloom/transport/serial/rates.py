# SPDX-License-Identifier: Apache-2.0
"""Rates that a device's clock can make, from the one asked for downwards."""

from gcnloom_spec.link import BASE_RATE, RATES, rate_increment

__all__ = ["ladder"]


def ladder(fastest: int, clock_hz: int) -> list[int]:
    """Return the rates to try, fastest first; the one that devices begin at is always there."""
    wanted = {fastest, BASE_RATE, *(rate for rate in RATES if rate < fastest)}
    return [rate for rate in sorted(wanted, reverse=True) if _can(rate, clock_hz)]


def _can(rate: int, clock_hz: int) -> bool:
    try:
        rate_increment(rate, clock_hz)
    except ValueError:
        return False
    return True
