"""Runs `soci-builder index` with the action's inputs as its flags, and shows the result on the job's page.

In: INPUTS, the action's inputs as JSON; SOCI_BUILDER, the program; GitHub's variables. Out: the step's outputs, a summary, and the
program's exit code. An input is a flag of the same name: `true` for one without a value, and one flag for each line otherwise.
"""

import json
import os
import subprocess
import sys
import uuid

# About the program and not for it.
OWN = {"image", "version", "checksum", "release-url"}
SWITCHES = {"strict", "plain-http", "debug"}


def arguments(inputs):
    yield from lines(inputs["image"])
    for name, value in inputs.items():
        if name in OWN or not value.strip():
            continue
        if name in SWITCHES:
            if value.strip() not in ("true", "false"):
                raise SystemExit(f"soci-index: the input {name} is {value!r}; it may be true or false")
            if value.strip() == "true":
                yield f"--{name}"
        else:
            # In one argument: a value that begins with a dash is no flag.
            yield from (f"--{name}={line}" for line in lines(value))


def lines(value):
    return [line.strip() for line in value.splitlines() if line.strip()]


def size(count):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.1f} {unit}" if unit != "bytes" else f"{count} bytes"
        count /= 1024


def code(text):
    """Text that Markdown shows as it is, also in a table."""
    return "`" + " ".join(str(text).split()).replace("`", "'").replace("|", "\\|") + "`"


def summary(image, result):
    yield f"### SOCI index of {code(image)}: {result['outcome']}\n"
    if result["outcome"] == "failed":
        yield f"{code(result['error'])}\n"
        return
    rows = [("image", code(result["image_digest"]))]
    if result.get("output_tag"):
        rows.append(("tag", code(result["output_tag"])))
    if result.get("output_digest"):
        rows.append(("digest", code(result["output_digest"])))
    rows.append(("read", f"{size(result['bytes_read'])} in {result['seconds']:.1f} s"))
    yield from ("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), "")
    for index in result["indexes"]:
        yield from (f"**{index['platform']}**\n", "| layer | size | state |", "|---|--:|---|")
        for layer in index["layers"]:
            state = layer["state"] + (f": {code(layer['reason'])}" if layer.get("reason") else "")
            yield f"| {code(layer['digest'][:19])} | {size(layer['size'])} | {state} |"
        yield ""


def outputs(results):
    failed = [result for result in results if result["outcome"] == "failed"]
    yield "outcome", (failed or results)[0]["outcome"]
    one = results[0] if len(results) == 1 else {}
    names = {"digest": "output_digest", "tag": "output_tag", "image-digest": "image_digest"}
    yield from ((name, one.get(key) or "") for name, key in names.items())
    yield "json", json.dumps(one or results)


def main():
    inputs = json.loads(os.environ["INPUTS"])
    command = [os.environ["SOCI_BUILDER"], "index", *arguments(inputs), "--json"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    results = [json.loads(line) for line in run.stdout.splitlines()]
    if not results:
        # Wrong usage: what is wrong is on stderr.
        sys.exit(run.returncode)
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:
        for name, value in outputs(results):
            # Whatever the value is, it cannot end itself and begin another output.
            end = uuid.uuid4()
            file.write(f"{name}<<{end}\n{value}\n{end}\n")
    with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
        for result in results:
            image = result.get("image", inputs["image"])
            file.write("\n".join(summary(image, result)) + "\n")
            print(f"{image}: {result['outcome']} {result.get('output_digest') or ''}".rstrip())
    sys.exit(run.returncode)


main()
