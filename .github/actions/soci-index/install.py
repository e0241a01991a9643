"""Installs a released soci-builder: downloads the archive for this runner, verifies its checksum, and only then unpacks it.

In: INPUTS, the action's inputs as JSON (`version`, `checksum`, `release-url`), and GitHub's variables. Out: the program, named by the step
output `program` and in the PATH of later steps. The runner's tool cache keeps the archive, which is verified each time.
"""

import hashlib
import io
import json
import os
import platform
import re
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

# An archive has about 6 MB.
MOST_BYTES = 100_000_000
# Seconds without data.
PATIENCE = 60
PAUSES = (1, 4, 16)
ARCHITECTURES = {"X64": "x86_64", "ARM64": "aarch64"}


def target():
    """The name of this runner's platform in a release."""
    system, architecture = os.environ["RUNNER_OS"], os.environ["RUNNER_ARCH"]
    if architecture not in ARCHITECTURES:
        raise SystemExit(f"soci-index: no release of soci-builder for {system} on {architecture}")
    if system == "Linux":
        # Alpine's C library is another one.
        system = "unknown-linux-gnu" if platform.libc_ver()[0] == "glibc" else "unknown-linux-static"
    else:
        system = {"macOS": "apple-darwin", "Windows": "pc-windows-msvc"}[system]
    return f"{ARCHITECTURES[architecture]}-{system}"


def own_version():
    workspace = Path(os.environ["GITHUB_ACTION_PATH"], "../../../Cargo.toml").read_text(encoding="utf-8")
    # Not tomllib: runners may have an older Python.
    return re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"$', workspace, re.MULTILINE)[1]


def download(url):
    """The content of a URL; tries again where the server or the network fails, and not where the file is not found."""
    for pause in (*PAUSES, None):
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                content = response.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise SystemExit(f"soci-index: cannot download {url}: larger than {MOST_BYTES} bytes")
            return content
        except (OSError, EOFError) as error:
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429
            if final or pause is None:
                raise SystemExit(f"soci-index: cannot download {url}: {error}") from error
            print(f"soci-index: {url}: {error}; retrying in {pause} s", file=sys.stderr)
            time.sleep(pause)


def listed(sums, name):
    """The checksum of a file in the text of a SHA256SUMS."""
    for line in sums.decode().splitlines():
        checksum, _, file = line.partition("  ")
        if file == name:
            return checksum
    raise SystemExit(f"soci-index: the release's SHA256SUMS does not list {name}")


def archive_of(base, name, checksum, kept):
    """The archive, whose checksum is right, from the cache or the release."""
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == checksum:
        return kept.read_bytes()
    content = download(f"{base}/{name}")
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        raise SystemExit(f"soci-index: digest mismatch: {base}/{name} has SHA-256 {found}, expected {checksum}; it was not executed")
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Another job of this runner may do the same.
    partial = kept.with_name(f"{kept.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(kept)
    return content


def unpack(archive, name, to):
    """Writes the archive's program, and nothing else of it, into a folder."""
    program = "soci-builder.exe" if name.endswith(".zip") else "soci-builder"
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            content = files.read(program)
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            content = files.extractfile(program).read()
    to.mkdir(parents=True, exist_ok=True)
    path = to / program
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def main():
    inputs = json.loads(os.environ["INPUTS"])
    version = (inputs.get("version") or own_version()).removeprefix("v")
    if not re.fullmatch(r"[0-9A-Za-z.+-]+", version):
        raise SystemExit(f"soci-index: invalid version {version!r}; expected a release like 0.1.0")
    base = f"{inputs['release-url'].rstrip('/')}/v{version}"
    name = f"soci-builder-{target()}" + (".zip" if os.environ["RUNNER_OS"] == "Windows" else ".tar.gz")
    checksum = (inputs.get("checksum") or listed(download(f"{base}/SHA256SUMS"), name)).lower()
    kept = Path(os.environ["RUNNER_TOOL_CACHE"], "soci-builder", version, os.environ["RUNNER_ARCH"].lower(), name)
    program = unpack(archive_of(base, name, checksum, kept), name, Path(os.environ["RUNNER_TEMP"], "soci-builder"))
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as outputs:
        outputs.write(f"program={program}\n")
    with open(os.environ["GITHUB_PATH"], "a", encoding="utf-8") as path:
        path.write(f"{program.parent}\n")
    print(f"soci-builder {version}: {name}, SHA-256 {checksum}")


main()
