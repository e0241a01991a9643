"""Images of extreme shapes, to see what memory and time do. In: a number. Out: a layout, tag v1. Content depends on the numbers only."""

import io
import os
import random
import tarfile

import cache
import layer
import layout

MIB = 1 << 20
SOURCES = ("synthetic.py", "layer.py", "layout.py")


def one_large_layer(gib):
    """One layer of `gib` GiB unpacked: a fifth zeros, the rest text. Streamed: the uncompressed bytes are never on the disk."""

    def fill(partial):
        writer = layer.LayerWriter(os.path.join(partial, "layer.tar.gz"), pigz=True)
        content, files = text(64 * MIB), 0
        with tarfile.open(fileobj=writer, mode="w|", bufsize=MIB) as tar:
            for number in range(gib * 16):  # 64 MiB each
                zeros = number % 5 == 4
                tar.addfile(entry(f"data/{number:04}", len(content)), _Zeros(len(content)) if zeros else io.BytesIO(content))
                files += 1
        _image(partial, [_finish(writer, partial, files, "one large layer")])

    return cache.made("large", cache.key_of(*SOURCES, str(gib)), fill)


def tiny_layers(count):
    """`count` layers with one file of a kilobyte each."""

    def fill(partial):
        layers = []
        for number in range(count):
            path = os.path.join(partial, f"layer-{number}.tar.gz")
            writer = layer.LayerWriter(path)
            data = random.Random(number).randbytes(1024)
            with tarfile.open(fileobj=writer, mode="w|") as tar:
                tar.addfile(entry(f"data/{number:06}", len(data)), io.BytesIO(data))
            layers.append(layer.Layer(path=path, files=1, created_by=f"layer {number}", **writer.close()))
        _image(partial, layers)

    return cache.made("tiny", cache.key_of(*SOURCES, str(count)), fill)


def many_files(count):
    """One layer with `count` files of some hundred bytes, as a large node_modules has them."""

    def fill(partial):
        writer = layer.LayerWriter(os.path.join(partial, "layer.tar.gz"))
        rng, content = random.Random(count), text(MIB)
        with tarfile.open(fileobj=writer, mode="w|", bufsize=MIB) as tar:
            for number in range(count):
                start, size = rng.randrange(len(content) // 2), rng.randrange(64, 2048)
                name = f"srv/node_modules/package-{number // 100:05}/lib/module-{number:06}.js"
                tar.addfile(entry(name, size), io.BytesIO(content[start : start + size]))
        _image(partial, [_finish(writer, partial, count, "many files")])

    return cache.made("files", cache.key_of(*SOURCES, str(count)), fill)


class _Zeros(io.RawIOBase):
    def __init__(self, size):
        super().__init__()
        self._left = size

    def read(self, size=-1):
        size = self._left if size < 0 else min(size, self._left)
        self._left -= size
        return bytes(size)


def text(size):
    """Lines as a program logs them, with some that come again: packs about five to one."""
    rng = random.Random(size)
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randrange(2, 11))) for _ in range(600)]
    known = [" ".join(rng.choices(words, k=12)) for _ in range(400)]
    total, parts = 0, []
    while total < size:
        line = f"{total:012} {rng.choice(known)} {rng.getrandbits(32):08x} {rng.choice(words)}\n"
        parts.append(line)
        total += len(line)
    return "".join(parts).encode()[:size]


def entry(name, size):
    """The header of a file with nothing that changes from run to run."""
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, 1_700_000_000, 0o644
    return header


def _finish(writer, partial, files, created_by):
    return layer.Layer(path=os.path.join(partial, "layer.tar.gz"), files=files, created_by=created_by, **writer.close())


def _image(partial, layers):
    layout.write(partial, "v1", layers, ["/bin/true"])
    for each in layers:
        os.unlink(each.path)  # the layout holds the same bytes under their digest
