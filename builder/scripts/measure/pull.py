"""The way without an index: everything downloaded and unpacked before the first file can be read.

In: a registry, an image, a directory. Out: the image's layers in it, each in its own directory, and files of them.
All layers at once, each streamed from the download through igzip into tar. No digest is checked, so that no runtime is quicker.
"""

import contextlib
import json
import os
import subprocess
import urllib.request

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def unpack(host, repository, tag, directory):
    """Fetches and unpacks an image of one platform; returns the directories of its layers, base first."""
    urls = _layers(host, repository, tag)
    targets = [os.path.join(directory, f"layer-{number}") for number in range(len(urls))]
    for target in targets:
        os.mkdir(target)
    _run([[_curl(url), ["igzip", "-d", "-c"], ["tar", "-x", "-p", "-C", target]] for url, target in zip(urls, targets)])
    return targets


def discard(host, repository, tag):
    """Fetches the layers of an image and nothing more."""
    _run([[_curl(url)] for url in _layers(host, repository, tag)])


def _layers(host, repository, tag):
    url = f"http://{host}/v2/{repository}"
    request = urllib.request.Request(f"{url}/manifests/{tag}", headers={"Accept": MANIFEST})
    with urllib.request.urlopen(request) as answer:
        return [f"{url}/blobs/{each['digest']}" for each in json.load(answer)["layers"]]


def _curl(url):
    return ["curl", "--silent", "--show-error", "--fail", url]


def _run(pipelines):
    """Runs them all at once, the output of the last programs discarded; what still runs when one has failed is ended."""
    with contextlib.ExitStack() as stack, open(os.devnull, "r+b") as null:
        running = []
        for commands in pipelines:
            source = null
            for command in commands:
                sink = null if command is commands[-1] else subprocess.PIPE
                each = subprocess.Popen(command, stdin=source, stdout=sink)
                stack.callback(_end, each)
                if source is not null:
                    source.close()  # the two programs have it
                source = each.stdout
                running.append(each)
        for each in running:
            if each.wait() != 0:
                raise RuntimeError(f"{' '.join(each.args)} ended with {each.returncode}")


def _end(process):
    process.kill()
    process.wait()


def read(targets, paths):
    """The bytes of each file, in pieces, from the uppermost layer that has it."""
    for path in paths:
        for target in reversed(targets):
            try:
                with open(target + path, "rb") as file:
                    while piece := file.read(1 << 20):
                        yield piece
                break
            except FileNotFoundError:
                continue
        else:
            raise RuntimeError(f"no layer has {path}")
