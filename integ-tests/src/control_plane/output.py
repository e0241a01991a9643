"""Keeps what a function prints with the invocation that printed it; the emulator leaves what it reads late to a later invocation, or loses it.

In: nothing. Out: the log of an invocation has all that was in the function's pipe when it responded.
"""

import array
import contextlib
import fcntl
import os
import queue
import select
import termios
import threading
import time

from ministack.core import lambda_runtime

CHUNK = 65_536
PAUSE = 0.001
# Of a function that prints without end.
SECONDS_MAX = 1
# Held while what was read is on its way to the log: a pipe that is empty then has nothing left.
READING = threading.Lock()


def keep():
    lambda_runtime.ProvidedWorker._pump_output = pump
    lambda_runtime.ProvidedWorker._drain_stderr_bounded = drain


def pump(_worker, stream, log):
    pipe, rest, chunk = stream.fileno(), b"", b"-"
    while chunk:
        select.select([pipe], [], [])
        with READING:
            chunk = os.read(pipe, CHUNK)
            *lines, rest = (rest + chunk).split(b"\n")
            if not chunk and rest:
                lines.append(rest)
            for line in lines:
                put(log, line.rstrip(b"\r").decode(errors="replace"))


def put(log, line):
    """The oldest line goes where there are too many: the pipe must not become full."""
    while True:
        try:
            return log.put_nowait(line)
        except queue.Full:
            with contextlib.suppress(queue.Empty):
                log.get_nowait()


def drain(worker, **_waits):
    process, end = worker._proc, time.monotonic() + SECONDS_MAX
    while process is not None and time.monotonic() < end:
        with READING:
            if unread(process.stdout) == 0:
                break
        time.sleep(PAUSE)
    return worker._drain_stderr()


def unread(pipe):
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]
