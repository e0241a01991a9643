"""Writes and reads OCI image layouts (gzip layers, one platform, linux/amd64). In: layers. Out: a directory. Never copies a blob."""

import hashlib
import json
import os
import shutil

from layer import Layer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
CREATED = "2023-11-14T22:13:20Z"
FIGURES = "figures.json"
TAG_NAME = "org.opencontainers.image.ref.name"


def blob_path(layout, digest):
    """Where the layout keeps a blob."""
    return os.path.join(layout, "blobs", *digest.split(":"))


def read_blob(layout, digest):
    """A JSON blob, parsed."""
    with open(blob_path(layout, digest), encoding="utf-8") as blob:
        return json.load(blob)


def manifest_of(layout, tag):
    """The descriptor and the content of what `tag` names."""
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        index = json.load(file)
    for descriptor in index["manifests"]:
        if descriptor.get("annotations", {}).get(TAG_NAME) == tag:
            return descriptor, read_blob(layout, descriptor["digest"])
    raise KeyError(f"{layout} has no tag {tag}")


def link_or_copy(source, target):
    """A second name for the same bytes, where the file system can."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError:
        shutil.copyfile(source, target)


def write(layout, tag, layers, command):
    """Makes the layout from Layer objects, base first; the blobs are linked, not copied."""
    os.makedirs(os.path.join(layout, "blobs", "sha256"))
    for layer in layers:
        link_or_copy(layer.path, blob_path(layout, layer.digest))
    config = {
        "created": CREATED,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": command,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": CREATED, "created_by": layer.created_by} for layer in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _put(layout, config) | {"mediaType": CONFIG},
        "layers": [{"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size} for layer in layers],
    }
    top = _put(layout, manifest) | {
        "mediaType": MANIFEST,
        "platform": {"architecture": "amd64", "os": "linux"},
        "annotations": {TAG_NAME: tag},
    }
    _write(os.path.join(layout, "index.json"), {"schemaVersion": 2, "manifests": [top]})
    _write(os.path.join(layout, "oci-layout"), {"imageLayoutVersion": "1.0.0"})
    # Not of the format, which allows other files: what only the maker of the layers knew.
    figures = [layer.as_dict() | {"path": blob_path("", layer.digest)} for layer in layers]
    _write(os.path.join(layout, FIGURES), figures)


def figures_of(layout):
    """What `write` was given for each layer, base first."""
    with open(os.path.join(layout, FIGURES), encoding="utf-8") as file:
        return [Layer(**each | {"path": os.path.join(layout, each["path"])}) for each in json.load(file)]


def copy(source, target):
    """A copy that may be changed: blobs are linked (they never change), the two files at the top are copied."""
    os.makedirs(os.path.join(target, "blobs", "sha256"))
    for name in os.listdir(os.path.join(source, "blobs", "sha256")):
        link_or_copy(os.path.join(source, "blobs", "sha256", name), os.path.join(target, "blobs", "sha256", name))
    for name in ("index.json", "oci-layout"):
        shutil.copyfile(os.path.join(source, name), os.path.join(target, name))


def _put(layout, value):
    data = _encode(value)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    with open(blob_path(layout, digest), "wb") as blob:
        blob.write(data)
    return {"digest": digest, "size": len(data)}


def _write(path, value):
    with open(path, "wb") as file:
        file.write(_encode(value))


def _encode(value):
    return json.dumps(value, separators=(",", ":")).encode()
