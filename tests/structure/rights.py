"""`python -m tests.structure.rights`: print docs/reference/rights.md, made from what the routes state."""

import tempfile
from pathlib import Path

from flask import Flask

from mailer.app import create_app
from mailer.context import Context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.settings import Settings
from mailer.statuses import Role
from mailer.tokens import new_keys
from mailer.web.access import stated_access

HEAD = """# Rights

Who may open which page. An admin may open all of them. The page is made from what the routes state
(`python -m tests.structure.rights > docs/reference/rights.md`), and a test keeps it true.

| page | methods | who |
|---|---|---|
"""


def make_app(folder: Path) -> Flask:
    """Return the application with every page, the catcher's inbox too; its database is never asked."""
    (folder / "catcher.sqlite").touch()
    settings = Settings(
        data_dir=folder, database_url=f"sqlite:///{folder / 'none.sqlite'}", public_url="http://127.0.0.1:8000"
    )
    return create_app(Context(settings, Database(settings.database_url), new_keys(), SilentBell()))


def render_rights(app: Flask) -> str:
    """Return the page."""
    lines = []
    for rule in app.url_map.iter_rules():
        stated = stated_access(app.view_functions[rule.endpoint])
        methods = ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        lines.append((rule.rule, methods, "nobody" if stated is None else _who(stated.is_public, stated.roles)))
    return HEAD + "".join(f"| `{path}` | {methods} | {who} |\n" for path, methods, who in sorted(lines))


def _who(is_public: bool, roles: frozenset[Role]) -> str:
    if is_public:
        return "everybody"
    if roles == frozenset(Role):
        return "all staff"
    return ", ".join(role.value for role in Role if role in roles | {Role.ADMIN})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(render_rights(make_app(Path(name))), end="")
