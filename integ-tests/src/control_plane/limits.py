"""What a function's memory setting means, as on Lambda: the share of CPU that it gets, and the memory at which it is killed; and its end
when time is up.

In: nothing; `LAMBDA_CPU_SHARES` where functions get no more CPU than their share. Out: a process that has used more than its share stands still until
it is due again, for which no rights are needed; one that has too much memory, or whose time is up, is killed, and the invocation fails in Lambda's words. Each
invocation's log ends with the memory, which the emulator's own REPORT line does not know, and the CPU time.
"""

import os
import signal
import threading
import time

from ministack.core import lambda_runtime

# Lambda's developer guide, "Configure Lambda function memory".
MEGABYTES_OF_A_CPU = 1769
SHARES = "LAMBDA_CPU_SHARES" in os.environ
# Of the kernel's scheduler, at Lambda; `/proc` counts in 10 ms.
PERIOD = 0.02
TICKS = os.sysconf("SC_CLK_TCK")


def set_limits():
    invoke = lambda_runtime.ProvidedWorker.invoke
    # Nothing asks a function to end; and a process that stands still would not hear it.
    lambda_runtime._signal = kill

    def invoke_within_limits(worker, event, request_id, **others):
        watch = Watch(worker)
        try:
            result = invoke(worker, event, request_id, **others)
        finally:
            watch.end()
        result = in_words(result, request_id, watch.process)
        return {**result, "log": "\n".join(filter(None, [result.get("log"), watch.usage(request_id)]))}

    lambda_runtime.ProvidedWorker.invoke = invoke_within_limits


def kill(process):
    if process is not None and process.poll() is None:
        process.kill()


def in_words(result, request_id, process):
    """What the invoker, the destination and the log are told of an environment that has ended."""
    error = result.get("error_payload")
    kind = error.get("errorType") if isinstance(error, dict) else None
    if kind == "Sandbox.Timedout":
        why = error["errorMessage"]
    elif kind == "Runtime.ExitError":
        code = process.returncode if process is not None else None
        why = f"Runtime exited with error: {ending(code)}"
    else:
        return result
    words = f"RequestId: {request_id} Error: {why}"
    payload = {"errorType": kind, "errorMessage": words}
    log = "\n".join(filter(None, [result.get("log"), words, kind]))
    return {**result, "error": words, "error_payload": payload, "log": log}


def ending(code):
    if code is None or code >= 0:
        return f"exit status {code or 0}"
    # As Go writes it: "killed".
    return f"signal: {signal.strsignal(-code).lower()}"


class Watch:
    """Looks at the process of one invocation until its end."""

    def __init__(self, worker):
        self.worker = worker
        self.process = None
        self.begun = time.monotonic()
        self.cpu_seconds = 0.0
        self.peak_kilobytes = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def end(self):
        self.over.set()
        self.thread.join()

    def usage(self, request_id):
        milliseconds = (time.monotonic() - self.begun) * 1000
        return (
            f"USAGE RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\tMemory Size: {self.megabytes()} MB"
            f"\tMax Memory Used: {self.peak_kilobytes // 1024} MB\tCPU Time: {self.cpu_seconds * 1000:.0f} ms"
        )

    def megabytes(self):
        return int(self.worker.config.get("MemorySize", 128))

    def run(self):
        megabytes = self.megabytes()
        share = megabytes / MEGABYTES_OF_A_CPU
        # When the process is due for more, had it used its share evenly so far.
        due, used = time.monotonic(), None
        while not self.over.wait(PERIOD):
            process = self.worker._proc
            if process is None:
                continue
            self.process = process
            try:
                self.peak_kilobytes = peak_kilobytes(process.pid)
                if self.peak_kilobytes > megabytes * 1024:
                    process.kill()
                    return
                seconds = cpu_seconds(process.pid)
            except (OSError, LookupError):
                continue  # it has ended, and the emulator sees that
            # Before its first event a function has all CPU, as on Lambda.
            if used is None or not self.worker._first_poll.is_set():
                due, used = time.monotonic(), seconds
                continue
            self.cpu_seconds += seconds - used
            now = time.monotonic()
            due, used = max(due, now - PERIOD) + (seconds - used) / share, seconds
            if SHARES and share < os.cpu_count() and due > now:
                self.hold(process, due - now)

    def hold(self, process, seconds):
        process.send_signal(signal.SIGSTOP)
        self.over.wait(seconds)
        process.send_signal(signal.SIGCONT)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_kilobytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0])
