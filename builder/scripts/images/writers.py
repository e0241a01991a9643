"""One layer's content as different programs store it, and contents at the ends of what compresses. In: nothing. Out: layer files.

The content is the Debian root file system of the real image: programs, libraries, texts, small files.
"""

import io
import os
import random
import subprocess
import tarfile
import zlib

import cache
import real
import synthetic

MIB = 1 << 20
# Each from stdin to stdout.
PROGRAMS = {
    "pigz": ["pigz", "--no-name", "-6"],
    "gzip -9": ["gzip", "--no-name", "-9"],
    "igzip": ["igzip", "-c"],
}


def make():
    """Layer files by what they are, gzip first."""
    docker = real.base_layer_file()
    key = cache.key_of("writers.py", "synthetic.py", os.path.basename(os.path.dirname(docker)))
    directory = cache.made("writers", key, lambda partial: _fill(partial, docker))
    names = [*PROGRAMS, "stored blocks", "repetitions", "random bytes", "not compressed"]
    return {"docker": docker} | {name: os.path.join(directory, _file(name)) for name in names}


def _file(name):
    return name.replace(" ", "-") + (".tar" if name == "not compressed" else ".tar.gz")


def _fill(directory, docker):
    plain = os.path.join(directory, _file("not compressed"))
    with open(plain, "wb") as file:
        subprocess.run(["gzip", "-dc", docker], check=True, stdout=file)
    for name, command in PROGRAMS.items():
        with open(plain, "rb") as source, open(os.path.join(directory, _file(name)), "wb") as file:
            subprocess.run(command, check=True, stdin=source, stdout=file)
    with open(plain, "rb") as source:
        _deflate(iter(lambda: source.read(MIB), b""), 0, os.path.join(directory, _file("stored blocks")))
    # Matches of every distance that a copy treats in its own way: one byte, fewer than a word, most of the window.
    patterns = [bytes(8 * MIB), 8 * MIB // 3 * b"abc", 512 * synthetic.text(16 * 1024)]
    _deflate(_tar(48 * patterns), 6, os.path.join(directory, _file("repetitions")))
    noise = random.Random(1)
    _deflate(_tar([noise.randbytes(8 * MIB) for _ in range(16)]), 6, os.path.join(directory, _file("random bytes")))


def _tar(contents):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, content in enumerate(contents):
            tar.addfile(synthetic.entry(f"data/{number:04}", len(content)), io.BytesIO(content))
    file.seek(0)
    return iter(lambda: file.read(MIB), b"")


def _deflate(pieces, level, path):
    deflate = zlib.compressobj(level, zlib.DEFLATED, 31)
    with open(path, "wb") as file:
        for piece in pieces:
            file.write(deflate.compress(piece))
        file.write(deflate.flush())
