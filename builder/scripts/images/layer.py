"""Writes one layer: plain tar bytes in, a gzip blob and its figures out. Knows nothing of images.

Docker compresses with Go's compress/gzip at its default level: one member, one stream, a new deflate block every 16,384
tokens, no flushes between. zlib at level 6 writes the same shape (its buffer holds as many tokens), and it comes with Python;
a Go compiler does not. pigz flushes every 128 KiB, so it is used only where a layer of gigabytes has to be made quickly.
"""

import hashlib
import os
import subprocess
import threading
import zlib
from dataclasses import asdict, dataclass

CHUNK = 1 << 20


@dataclass
class Layer:
    """What a manifest and a config say of a layer, and its figures."""

    path: str
    digest: str
    size: int
    diff_id: str
    plain: int
    files: int
    created_by: str

    def as_dict(self):
        return asdict(self)


class LayerWriter:
    """A file-like object for tar bytes; `close` returns the digests and sizes."""

    def __init__(self, path, pigz=False):
        self._out = open(path, "wb")
        self._plain_hash, self._gzip_hash = hashlib.sha256(), hashlib.sha256()
        self._plain = self._size = 0
        self._pigz = self._drain = None
        if pigz:
            self._pigz = subprocess.Popen(
                ["pigz", "--no-name", "-5", "-p", str(os.cpu_count())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._drain = threading.Thread(target=self._drain_pigz)
            self._drain.start()
        else:
            self._zlib = zlib.compressobj(6, zlib.DEFLATED, 31)

    def write(self, data):
        self._plain_hash.update(data)
        self._plain += len(data)
        if self._pigz:
            self._pigz.stdin.write(data)
        else:
            self._emit(self._zlib.compress(data))
        return len(data)

    def close(self):
        if self._pigz:
            self._pigz.stdin.close()
            self._drain.join()
            if self._pigz.wait() != 0:
                raise RuntimeError(f"pigz ended with {self._pigz.returncode}")
        else:
            self._emit(self._zlib.flush())
        self._out.close()
        return {
            "digest": "sha256:" + self._gzip_hash.hexdigest(),
            "size": self._size,
            "diff_id": "sha256:" + self._plain_hash.hexdigest(),
            "plain": self._plain,
        }

    def _emit(self, data):
        self._gzip_hash.update(data)
        self._size += len(data)
        self._out.write(data)

    def _drain_pigz(self):
        while data := self._pigz.stdout.read(CHUNK):
            self._emit(data)


def pack(directory, path, keep_owners=False):
    """Packs what lies in `directory` into the gzip layer `path`. Same content, same bytes: names sorted, times fixed."""
    command = ["tar", "-C", directory, "--format=posix", "--sort=name", "--mtime=@1700000000", "--numeric-owner"]
    command += ["--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"]
    if not keep_owners:
        command += ["--owner=0", "--group=0"]
    # The names at the top one by one, so that entries are "usr/bin/env" and not "./usr/bin/env", as docker has them.
    command += ["-cf", "-", "--"] + sorted(os.listdir(directory))
    writer = LayerWriter(path)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        while data := tar.stdout.read(CHUNK):
            writer.write(data)
    if tar.returncode != 0:
        raise RuntimeError(f"tar of {directory} ended with {tar.returncode}")
    files = sum(len(names) for _, _, names in os.walk(directory))
    return writer.close() | {"files": files}
