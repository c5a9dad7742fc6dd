# SPDX-License-Identifier: Apache-2.0
"""Configurations as text: those that ship with the package, by name, and files."""

from importlib import resources
from pathlib import Path

__all__ = ["config_text", "named_configs"]


def named_configs() -> list[str]:
    """Names of the configurations that ship with the package."""
    folder = resources.files("gcnloom_spec") / "configs"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir())


def config_text(name_or_path: str | Path) -> str:
    """Read a configuration shipped by name (``"demo"``) or a TOML file by path."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"cannot read configuration {str(path)!r}: {error.strerror}"
            ) from error
    if str(name_or_path) in named_configs():
        shipped = resources.files("gcnloom_spec") / "configs" / f"{name_or_path}.toml"
        return shipped.read_text(encoding="utf-8")
    raise ValueError(
        f"unknown configuration {str(name_or_path)!r}; use a .toml file or one of "
        f"{', '.join(named_configs())}"
    )
