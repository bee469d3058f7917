"""What people read can be translated: every template gives its texts to gettext's extraction."""

import re
from pathlib import Path

from babel.messages.extract import extract_from_dir

from mailer.assets import templates_dir

ROOT = Path(__file__).resolve().parents[2]
METHODS = [("templates/admin/**.html", "jinja2"), ("templates/public/**.html", "jinja2"), ("mailer/**.py", "python")]
PUBLIC_WITHOUT_FRAMEWORK = ("confirm.html",)  # answered by the tracking endpoint, which knows no request's language
NAMES = {"mailer", "MJML", "Esc", "Tab", "mailer users create", "· mailer"}


def test_every_text_is_extracted() -> None:
    found = {
        message if isinstance(message, str) else message[0]
        for _file, _line, message, _comments, _context in extract_from_dir(str(ROOT), METHODS)
    }

    assert {"Sign in", "Who will get it", "Missed its start", "You are unsubscribed"} <= found
    assert len(found) > 500


def test_no_template_holds_words_outside_gettext() -> None:
    wrong = {}
    for path in [*templates_dir().glob("admin/**/*.html"), *templates_dir().glob("public/*.html")]:
        if path.name in PUBLIC_WITHOUT_FRAMEWORK:
            continue
        text = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        lines = {line.strip() for line in re.sub(r"<[^>]*>", "\n", text).splitlines()}
        if words := {line for line in lines if re.search(r"[A-Za-z]{3,}", line)} - NAMES:
            wrong[path.name] = words

    assert wrong == {}
