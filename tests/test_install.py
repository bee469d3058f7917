"""What is installed works where it lies: templates and assets are found from a wheel and from a checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mailer.assets import static_dir, templates_dir

ROOT = Path(__file__).resolve().parents[1]
FILES = ("admin/layout.html", "public/unsubscribe.html", "starters/invitation/design.mjml")
ASSETS = ("app.css", "app.js", "charts.js", "theme.js", "public.css", "stamp.json")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built by its own back end."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("mailer-*.whl"))


def test_a_checkout_finds_its_templates_and_assets() -> None:
    assert [name for name in FILES if not (templates_dir() / name).is_file()] == []
    assert [name for name in ASSETS if not (static_dir() / name).is_file()] == []


def test_a_wheel_carries_templates_assets_and_no_sources_of_the_front_end(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {f"mailer/templates/{name}" for name in FILES} <= names
    assert {f"mailer/static/{name}" for name in ASSETS} <= names
    assert not any("node_modules" in name or name.startswith(("frontend/", "tests/")) for name in names)


def test_an_installed_wheel_finds_its_own_templates(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import mailer.assets as a; print(a.templates_dir()); print(a.static_dir())"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, check=True, capture_output=True
    )

    assert done.stdout.decode().split() == [str(tmp_path / "mailer" / "templates"), str(tmp_path / "mailer" / "static")]


def test_the_lock_files_name_no_addresses() -> None:
    """Each package is held by its digest; where it is fetched from is the machine's affair."""
    for path in (ROOT / "frontend" / "package-lock.json", ROOT / "tests" / "browser" / "package-lock.json"):
        text = path.read_text(encoding="utf-8")

        assert '"integrity"' in text
        assert '"resolved"' not in text
