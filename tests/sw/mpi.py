# SPDX-License-Identifier: Apache-2.0
"""Processes of MPI."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MPIEXEC = Path(sys.executable).with_name("mpiexec")
MAIN = "from gcnloom.cli import main; raise SystemExit(main())"


def mpiexec(code, *arguments):
    """Start two processes that run `code`; skip the test where there is no MPI."""
    pytest.importorskip("mpi4py")
    if not MPIEXEC.exists():
        pytest.skip("no mpiexec beside this Python: pip install 'gcnloom[parallel]'")
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [MPIEXEC, "-n", "2", sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background job, such as a CI's, starts its children deaf to the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
