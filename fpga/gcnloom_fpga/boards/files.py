# SPDX-License-Identifier: Apache-2.0
"""Read board files: those beside this module, and a user's."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

__all__ = ["board_names", "board_table"]

LIKE = "like"
"""Key that names the board which a file only differs from."""


def board_names() -> list[str]:
    """Names of the boards that come with gcnloom."""
    folder = resources.files(__package__)
    return sorted(
        path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml")
    )


def board_table(name: str) -> dict[str, Any]:
    """Return what a board file says, with what it takes over from another.

    Parameters
    ----------
    name : str
        Of a board that comes with gcnloom, or a path that ends in ``.toml``.

    Raises
    ------
    ValueError
        There is no such board, or the file cannot be read.
    """
    return _table(name, ())


def _table(name: str, above: tuple[str, ...]) -> dict[str, Any]:
    if name in above:
        raise ValueError(f"board {name} is like itself; name another board in {LIKE}")
    table = _read(name)
    like = table.pop(LIKE, None)
    return table if like is None else _merged(_table(like, (*above, name)), table)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Replace values of `base`, in tables key by key."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged


def _read(name: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        path = Path(name)
    elif name in board_names():
        path = Path(str(resources.files(__package__) / f"{name}.toml"))
    else:
        raise ValueError(
            f"unknown board {name!r}; try one of {', '.join(board_names())} or a .toml file"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror}); try another path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}; mend it") from error
