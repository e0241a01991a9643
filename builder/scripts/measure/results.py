"""What `bench-start` measured. In: seconds and bytes of each run. Out: a record that JSON can hold, medians, a table."""

import os
import platform
import statistics

MB = 1_000_000
WAYS = ("whole", "index")


def new(capacity, runs, starts):
    """The whole record; `capacity` is what the shaped line could carry, in bytes a second."""
    return {"machine": machine(), "line_bytes_per_second": round(capacity), "runs": runs, "starts": starts}


def add(start, line, way, seconds, received):
    """Adds a run of one way to a start's record."""
    found = next((each for each in start["lines"] if each["line"] == line), None)
    if found is None:
        found = {"line": line} | {each: {"seconds": [], "bytes": []} for each in WAYS}
        start["lines"].append(found)
    found[way]["seconds"].append(round(seconds, 3))
    found[way]["bytes"].append(received)


def medians(each, what):
    """The medians of both ways over one line, `seconds` or `bytes`: whole, through the index."""
    return tuple(statistics.median(each[way][what]) for way in WAYS)


def change(whole, lazy):
    """How much less time the index needs, in words."""
    return f"{1 - lazy / whole:.0%} less" if lazy <= whole else f"{lazy / whole - 1:.0%} more"


def table(result):
    """Medians in Markdown."""
    rows = [
        "| image | start | MB/s | round trip, ms | whole: s | MB | through the index: s | MB | time |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for start in result["starts"]:
        for each in start["lines"]:
            (whole, lazy), sizes = medians(each, "seconds"), medians(each, "bytes")
            cells = [f"{start['image']}, {start['compressed'] / MB:.0f} MB", start["name"]]
            cells += [each["line"]["megabytes_per_second"], each["line"]["round_trip_ms"]]
            cells += [f"{whole:.1f}", f"{sizes[0] / MB:.0f}", f"{lazy:.1f}", f"{sizes[1] / MB:.0f}", change(whole, lazy)]
            rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def machine():
    """The processor and the number of its cores."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"
