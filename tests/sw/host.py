# SPDX-License-Identifier: Apache-2.0
"""Options of a training whose loss and optimiser are the host's."""

from typing import Any

from gcnloom.training.options import Options

__all__ = ["host_options"]


def host_options(**changes: Any) -> Options:
    """Adam on the host, unless changed."""
    return Options(**{"update": "host", "optimiser": "adam", "lr": 0.02} | changes)
