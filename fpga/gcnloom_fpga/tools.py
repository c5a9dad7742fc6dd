# SPDX-License-Identifier: Apache-2.0
"""Run external programs in a build folder and keep what they produced under a digest."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from gcnloom_spec.toolchain import Tool, ToolError, cache_folder

__all__ = ["cached", "run"]


def run(tool: Tool, arguments: Sequence[str], *, folder: Path) -> None:
    """Run a program inside `folder`, its output going to ``<program>.log`` there.

    File arguments are relative to `folder`: programs from wheels see no other paths for sure.

    Raises
    ------
    ToolError
        The program failed; the message names its log and ends with the log's tail.
    """
    log = folder / f"{Path(tool.command).name}.log"
    with log.open("w", encoding="utf-8") as output:
        code = subprocess.run(
            [tool.command, *arguments], cwd=folder, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    if code != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
        raise ToolError(f"{tool.command} ended with exit code {code}; {log} ends with:\n{tail}")


def cached(key: Sequence[str], produce: Callable[[Path], None]) -> Path:
    """Return the folder that `produce` filled for this key, filling it if nobody has.

    Parameters
    ----------
    key : Sequence[str]
        Everything the product depends on.
    produce : Callable[[Path], None]
        Fills a fresh folder. If it raises, that folder stays, for its logs are wanted, and the
        next call starts with another.
    """
    base = cache_folder() / "fpga"
    folder = base / hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
    if folder.is_dir():
        return folder
    base.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="fresh-", dir=base))
    produce(fresh)
    _adopt(fresh, folder)
    return folder


def _adopt(fresh: Path, folder: Path) -> None:
    try:
        fresh.rename(folder)
    except OSError:
        # Another process finished the same product first; keep that one.
        if not folder.is_dir():
            raise
        shutil.rmtree(fresh, ignore_errors=True)
