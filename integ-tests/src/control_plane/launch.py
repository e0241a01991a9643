"""Runs the emulator until standard input closes; then ends all that it started, and itself.

In: standard input, which whoever wants the emulator holds open; an address that is told of projects, and one that answers for IAM. Out: nothing is
left running, however that one ended.
The emulator's own way to stop can hang while functions are warm, so they are ended first.
"""

import os
import runpy
import signal
import sys
import threading

import bootstraps
import concurrency
import events
import invocations
import limits
import output
import projects
import queues
import rights
import sessions
import stack_resources


def children():
    """Every process below this one."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended
        if state != "Z":
            parents[int(name)] = int(parent)
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def end_with_input():
    sys.stdin.buffer.read()
    # Again until none is left: one may be started while others end.
    while left := children():
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
rights.ask_at(sys.argv[2])
bootstraps.refuse()
concurrency.reserve()
invocations.play()
queues.poll()
events.carry()
limits.set_limits()
output.keep()
sessions.name()
stack_resources.describe_as_it_is()
projects.tell(sys.argv[1])
sys.argv = ["ministack"]
runpy.run_module("ministack", run_name="__main__")
