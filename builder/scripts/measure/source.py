"""The image that one run indexes, fresh each time: a run would find the index of the run before and do nothing.

In: an OCI layout. Out: references for soci-builder. Blobs are linked, never copied: they do not change.
"""

import contextlib
import os
import shutil
import subprocess

import layout

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@contextlib.contextmanager
def fresh_layout(original, tag, work):
    """A copy of the layout; yields its reference and its directory."""
    target = os.path.join(work, "layout")
    layout.copy(original, target)
    try:
        yield f"oci:{target}:{tag}", target
    finally:
        shutil.rmtree(target)


def registry_data(original, tag, work):
    """Pushes the image into a registry of its own and stops that; returns what lies on its disk."""
    directory = os.path.join(work, "registry-original")
    with running(directory) as host:
        push(original, tag, f"{host}/bench/image")
    return os.path.join(directory, "data")


def push(original, tag, repository):
    """Copies an image from its layout into a registry."""
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    subprocess.run([*command, f"oci:{original}:{tag}", f"docker://{repository}:{tag}"], check=True, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def fresh_registry(data, tag, work):
    """A registry that holds the image and nothing else; yields the image's reference."""
    directory = os.path.join(work, "registry")
    root = os.path.join("docker", "registry", "v2")
    # Blobs are linked; what names them is small and may be rewritten in place, so it is copied.
    shutil.copytree(os.path.join(data, root, "blobs"), os.path.join(directory, "data", root, "blobs"), copy_function=os.link)
    shutil.copytree(os.path.join(data, root, "repositories"), os.path.join(directory, "data", root, "repositories"))
    try:
        with running(directory) as host:
            yield f"{host}/bench/image:{tag}"
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def running(directory):
    """A registry with its data in `directory`; yields its address."""
    registry = os.path.join(SCRIPTS, "registry")
    try:
        start = subprocess.run([registry, "start", directory], check=True, stdout=subprocess.PIPE, text=True)
        yield start.stdout.strip()
    finally:
        subprocess.run([registry, "stop", directory], check=True)
