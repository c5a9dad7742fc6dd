# SPDX-License-Identifier: Apache-2.0
"""What a configuration lacks that a product or a training takes."""

from gcnloom.errors import ConfigError
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["check_sparse"]


def check_sparse(config: AcceleratorConfig) -> None:
    """Raise ConfigError if there is no sparse engine."""
    if not config.sparse:
        raise ConfigError(
            f"configuration {config.digest} has no sparse engine (pes = 0), which sparse products "
            "and training take; try one with pes of at least 1"
        )
