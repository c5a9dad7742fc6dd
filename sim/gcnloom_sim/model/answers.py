# SPDX-License-Identifier: Apache-2.0
"""What a device answers when a run has ended: a compact one counts little and judges nothing."""

from collections.abc import Mapping

from gcnloom.transport import Judged
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.registers import COMPACT_COUNTERS, COUNTERS

__all__ = ["counted", "judged_by"]


def counted(counters: Mapping[str, int], config: AcceleratorConfig) -> dict[str, int]:
    """Every counter by name; zero for what the device does not count."""
    names = COMPACT_COUNTERS if config.compact else COUNTERS
    return dict.fromkeys(COUNTERS, 0) | {name: counters[name] for name in names}


def judged_by(config: AcceleratorConfig, judged: Judged) -> Judged:
    """Return what the device's registers say of judged losses."""
    return Judged(best=0, worse=0) if config.compact else judged
