"""The real images: Debian, build tools, a JDK, Python and Node packages, an application. In: which one. Out: a layout.

Each layer is filled by the recipe of its name and kept, so that two images share what they have in common.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import cache
import layer
import layout

ON_BASE = ("tools", "jdk", "interpreter")  # these unpack packages that the Debian layer lacks, so they need to see it
FROM_PYPI = ("python", "web", "tensorflow")
SMALL = ("debian", "python", "config", "app")
FULL = ("debian", "tools", "jdk", "python", "node", "config", "app")
# Services that start: see recipes/service.
SERVICE = ("debian", "interpreter", "web", "app", "service")
LARGE_SERVICE = ("debian", "tools", "python", "node", "tensorflow", "web", "app", "service")
COMMAND = ["python3", "/srv/app/server.py"]
TAG = "v1"


def make(names):
    """The layout of the image that has these layers, tag v1; layers that are not kept yet are made, two at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        base = pool.submit(_layer, "debian", "")
        # Started base first, so that the layers on it never hold every worker while it waits.
        others = {name: pool.submit(_on_base if name in ON_BASE else _plain, name, base) for name in names[1:]}
        layers = [base.result()] + [others[name].result() for name in names[1:]]
    key = cache.key_of("layout.py", *COMMAND, *[each.digest for each in layers])
    return cache.made("image", key, lambda partial: layout.write(partial, TAG, layers, COMMAND))


def with_changed_top(source, source_tag, release="2"):
    """A copy of the image in `source` whose top layer is that of another release, tag v2 or so; all other layers are the same."""
    _, manifest = layout.manifest_of(source, source_tag)
    config = layout.read_blob(source, manifest["config"]["digest"])
    layers = layout.figures_of(source)
    layers[-1] = _layer("app", "", release=release)
    key = cache.key_of("layout.py", *[each.digest for each in layers])
    return cache.made("changed", key, lambda partial: layout.write(partial, f"v{release}", layers, config["config"]["Cmd"]))


def base_layer_file():
    """The gzip layer with the Debian root file system."""
    return _layer("debian", "").path


def _plain(name, _base):
    return _layer(name, "")


def _on_base(name, base):
    return _layer(name, base.result().path)


def _layer(name, base_layer, release="1"):
    recipe = f"recipes/{name}"
    inputs = [recipe, "layer.py", release if name == "app" else ""]
    if name in FROM_PYPI:
        inputs.append("recipes/unpack-python-packages")
    if base_layer:
        inputs += ["recipes/unpack-debian-packages", os.path.basename(os.path.dirname(base_layer))]

    def fill(partial):
        started = time.monotonic()
        print(f"layer {name}: making it", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="partial-tree-", dir=cache.ROOT) as tree, tempfile.TemporaryFile() as log:
            environment = os.environ | {"BASE_LAYER": base_layer, "RELEASE": release}
            # debootstrap tells a hundred lines of progress: shown only when it fails.
            done = subprocess.run([os.path.join(cache.HERE, recipe), tree], env=environment, stdout=log, stderr=log, check=False)
            if done.returncode != 0:
                log.seek(0)
                raise RuntimeError(f"recipe {name} ended with {done.returncode}:\n{log.read().decode(errors='replace')[-4000:]}")
            figures = layer.pack(tree, os.path.join(partial, "layer.tar.gz"), keep_owners=name == "debian")
        with open(os.path.join(partial, "layer.json"), "w", encoding="utf-8") as file:
            json.dump(figures, file)
        print(f"layer {name}: done in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    directory = cache.made(f"layer-{name}", cache.key_of(*inputs), fill)
    with open(os.path.join(directory, "layer.json"), encoding="utf-8") as file:
        figures = json.load(file)
    return layer.Layer(path=os.path.join(directory, "layer.tar.gz"), created_by=f"COPY {name} /", **figures)
