"""Runs one program and says what it used. In: a command. Out: CPU, wall time, peak memory, what it printed."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass

TIME = "/usr/bin/time"


@dataclass
class Usage:
    """What one run used. Seconds and bytes."""

    user: float
    system: float
    wall: float
    peak: int
    stdout: bytes

    @property
    def cpu(self):
        return self.user + self.system


def run(command, discard=False):
    """Runs `command` to its end; RuntimeError with its last words when it fails.

    Peak memory comes from GNU time in between, not from our own wait: the kernel counts the memory of the process that a
    program was started from as that program's, and Python is larger than the builder may be. The CPU of GNU time itself, a
    millisecond, is counted in.
    """
    with tempfile.NamedTemporaryFile("r") as peak, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        # pylint: disable-next=consider-using-with
        child = subprocess.Popen(
            [TIME, "-q", "-f", "%M", "-o", peak.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if discard else out,
            stderr=err,
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if child.returncode != 0:
            err.seek(0)
            words = (out.read() + err.read()).decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{words}")
        return Usage(used.ru_utime, used.ru_stime, wall, int(peak.read().split()[-1]) * 1024, out.read())
