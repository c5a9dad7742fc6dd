# SPDX-License-Identifier: Apache-2.0
"""Which configuration a digest stands for."""

from gcnloom.errors import ConfigError, DeviceError
from gcnloom.transport import configuration
from gcnloom_spec.config import AcceleratorConfig, named_configs
from gcnloom_spec.toolchain import built_config

__all__ = ["configuration_of"]


def configuration_of(digest: str, given: AcceleratorConfig | None) -> AcceleratorConfig:
    """Return the configuration that a device was built for.

    It is the one given, a shipped one, or one that was built on this machine.

    Raises
    ------
    DeviceError
        It is another one than the one given, or unknown.
    """
    if given is not None:
        if given.digest == digest:
            return given
        raise DeviceError(
            f"the board was built for configuration {digest}, not {given.digest}; try opening it "
            "with its own configuration, or programming it again"
        )
    for name in named_configs():
        config = AcceleratorConfig.from_toml(name)
        if config.digest == digest:
            return config
    path = built_config(digest)
    if path.is_file():
        config = configuration(str(path))
        if config.digest != digest:
            raise ConfigError(
                f"{path} is configuration {config.digest}, not what its name says; "
                "try deleting it, and building again"
            )
        return config
    raise DeviceError(
        f"the board was built for configuration {digest}, which is neither shipped nor was built "
        f"here ({path} is not there); try serial://PORT?config=FILE with the file it was built from"
    )
