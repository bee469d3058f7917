"""Run every benchmark, one after the other; each prints its figures as JSON on its last line."""

import subprocess
import sys

NAMES = ("bounces", "render", "import", "track", "ingest", "segments", "freeze", "pages", "send", "soak")


def main() -> int:
    """Run them all; the exit code is that of the first that failed."""
    codes = [
        subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]], check=False).returncode for name in NAMES
    ]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
