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


def run(
    tool: Tool,
    arguments: Sequence[str],
    *,
    folder: Path,
    watch: Callable[[str], None] | None = None,
) -> None:
    """Run a program inside `folder`, its output going to ``<program>.log`` there.

    File arguments are relative to `folder`: programs from wheels see no other paths for sure. The
    program ends with this one: nothing is left running after Ctrl-C.

    Parameters
    ----------
    tool : Tool
    arguments : Sequence[str]
    folder : Path
    watch : Callable[[str], None], optional
        Gets every line as it is printed.

    Raises
    ------
    ToolError
        The program failed; the message names its log and ends with the log's tail.
    """
    log = folder / f"{Path(tool.command).name}.log"
    with (
        log.open("w", buffering=1, encoding="utf-8") as output,
        subprocess.Popen(
            [tool.command, *arguments], cwd=folder, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        try:
            for line in process.stdout or ():
                output.write(line)
                if watch:
                    watch(line)
            code = process.wait()
        except BaseException:
            process.kill()
            raise
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
        next call starts with another; only after Ctrl-C nobody wants it.
    """
    base = cache_folder() / "fpga"
    folder = base / hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
    if folder.is_dir():
        return folder
    base.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="fresh-", dir=base))
    try:
        produce(fresh)
    except KeyboardInterrupt:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
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
