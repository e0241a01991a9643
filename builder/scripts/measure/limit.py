"""L, what the builder is measured against: inflating the layers with igzip, and SHA-256 twice over the compressed bytes.

SHA-256 twice, because both the layer's own digest and the digests of its spans are taken over the compressed bytes. The
program is `openssl dgst`, which uses the processor's SHA instructions. In: layer files. Out: CPU seconds.
"""

from dataclasses import dataclass

from child import run


@dataclass
class Limit:
    """One measurement of L, in CPU seconds."""

    user: float
    system: float

    @property
    def cpu(self):
        return self.user + self.system


def measure(layers):
    """L of these gzip files, measured now."""
    inflate = [run(["igzip", "-d", "-c", path], discard=True) for path in layers]
    # All of them in one process: starting openssl costs more than hashing a small layer.
    digest = run(["openssl", "dgst", "-sha256", *layers, *layers], discard=True)
    parts = [*inflate, digest]
    return Limit(sum(part.user for part in parts), sum(part.system for part in parts))
