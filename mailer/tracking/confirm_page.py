"""The page of a link that asks first: one button, no script, no outside request (FEATURES L2).

Rendered with Jinja2 directly, because the endpoint knows no Flask and needs no database.
"""

import base64
import hashlib
from enum import StrEnum
from functools import cache
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from mailer.addresses import mask_address
from mailer.assets import templates_dir
from mailer.tracking.link_map import Target

STYLE = """
:root{color-scheme:light dark;--page:#f4f6fa;--card:#fff;--text:#1f2937;--soft:#5b6472;--line:#dfe3ea;
--main:#1f5fbf;--on:#fff}
@media(prefers-color-scheme:dark){:root{--page:#12161d;--card:#1b212b;--text:#e7eaf0;--soft:#a3acba;--line:#323b49;
--main:#7fb0ff;--on:#0b1220}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--text);font:16px/1.55 system-ui,sans-serif}
main{max-width:30rem;margin:12vh auto 2rem;padding:2rem;background:var(--card);border:1px solid var(--line);
border-radius:12px}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .8rem}p{margin:0 0 1.2rem}
.text{white-space:pre-line;overflow-wrap:anywhere}
.button{display:inline-block;border:0;border-radius:8px;background:var(--main);color:var(--on);padding:.75rem 1.4rem;
cursor:pointer;font:600 1rem/1.2 system-ui,sans-serif;text-decoration:none;margin-bottom:1rem;overflow-wrap:anywhere}
.button.plain{background:none;color:var(--main);border:1px solid var(--line)}
.button:focus-visible{outline:3px solid var(--main);outline-offset:3px}
.done{display:inline-block;margin:0 0 .6rem;padding:.1rem .7rem;border-radius:99px;border:1px solid currentColor;
color:var(--main);font-weight:600}
.soft,footer{color:var(--soft);font-size:.9rem}footer{border-top:1px solid var(--line);padding-top:1rem}
@media(max-width:34rem){main{margin:0;min-height:100vh;border:0;border-radius:0}}
""".replace("\n", "")
CONTENT_POLICY = (
    "default-src 'none'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(templates_dir() / "public"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    environment.globals.update(gettext=str, ngettext=lambda one, many, n: one if n == 1 else many)
    environment.globals["_"] = str
    environment.globals["style"] = Markup(STYLE)  # noqa: S704 - our own constant
    return environment.get_template("confirm.html")


class Step(StrEnum):
    """What the page of a link shows: its button, thanks for the press, or a text without either."""

    ASK = "ask"
    DONE = "done"
    TEXT = "text"


def render_link_page(target: Target, step: Step, *, action: str, recipient: str | None) -> bytes:
    """Return the page of a link; the recipient is shown masked, if at all."""
    return (
        _template()
        .render(
            url=target.url,
            site=urlsplit(target.url).hostname or "",
            label=target.label,
            text=target.text,
            action=action,
            masked=mask_address(recipient) if recipient else "",
            step=step,
        )
        .encode()
    )
