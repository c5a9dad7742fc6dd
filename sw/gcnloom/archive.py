# SPDX-License-Identifier: Apache-2.0
"""Archives of plain arrays: .npz files read without pickles, whatever is wrong with them."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArchiveError", "read_arrays"]

DAMAGE = (
    ValueError, TypeError, KeyError, EOFError, RuntimeError, SyntaxError, MemoryError,
    OverflowError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise about bytes they cannot make sense of."""


class ArchiveError(Exception):
    """What is wrong with a file that is there; whoever wanted it says what to try."""


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Every array of an archive by name.

    Raises
    ------
    OSError
        The file cannot be read.
    ArchiveError
        It is no archive, is damaged, or holds pickled objects.
    """
    try:
        data = Path(path).read_bytes()
    except ValueError as error:
        raise ArchiveError(f"no path: {error}") from error
    try:
        # From memory, so that no damage can be taken for a file that cannot be read.
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ArchiveError("a single array, not an archive made by numpy.savez")
        return {key: archive[key] for key in archive.files}
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ArchiveError(reason) from error
