"""Keeps what was made. In: a name, what it is made from, and how to make it. Out: its directory, made at most once.

A directory appears under its final name only when it is whole: it is made beside it and renamed, so that a broken-off run
leaves nothing that looks finished.
"""

import hashlib
import os
import shutil
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(HERE))), "target", "images")


def key_of(*parts):
    """A short name for a content: text as it is, and the files of this folder by what is in them."""
    total = hashlib.sha256()
    for part in parts:
        path = os.path.join(HERE, part)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                total.update(hashlib.sha256(file.read()).digest())
        total.update(part.encode() + b"\0")
    return total.hexdigest()[:12]


def made(name, key, make):
    """The directory of `name` in the state `key`; `make(directory)` fills it when it is not there yet."""
    final = os.path.join(ROOT, f"{name}-{key}")
    if os.path.isdir(final):
        return final
    os.makedirs(ROOT, exist_ok=True)
    partial = tempfile.mkdtemp(prefix="partial-", dir=ROOT)
    try:
        make(partial)
        os.chmod(partial, 0o755)
        os.rename(partial, final)
    except OSError:
        if not os.path.isdir(final):  # there: another run was quicker, with the same content
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final
