"""Find the files that ship with the product: templates, starters, front-end assets.

In a wheel they lie inside the package; in a checkout `templates/` lies beside it. This is the only place that knows.
"""

from functools import cache
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent


@cache
def templates_dir() -> Path:
    """Return the folder `templates/`, from the wheel or from the checkout."""
    inside = PACKAGE_DIR / "templates"
    return inside if inside.is_dir() else PACKAGE_DIR.parent / "templates"


def static_dir() -> Path:
    """Return the folder of built front-end assets; it may be missing before the first build."""
    return PACKAGE_DIR / "static"


def read_template(name: str) -> str:
    """Return the text of `templates/<name>`; FileNotFoundError if there is none."""
    return (templates_dir() / name).read_text(encoding="utf-8")
