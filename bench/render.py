"""Rendering: subject, HTML and text of a starter as quoted-printable bytes; beside it Jinja and the standard library.

`python -m bench.render [--size N]`. The last line is as in docs/reference (Benchmarks).
"""

import argparse
import json
import os
import platform
import resource
import time
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailer.content.designs import sample_context
from mailer.content.render import compile_renderer

REFERENCE_SIZE = 200
_STYLE = "font-family:Arial;font-size:16px;line-height:1.6;color:#253046;padding:0 40px 18px"
_ROW = '<p style="{style}">{text} <a href="{{{{ links[{n}] }}}}">Read on</a></p>\n'
_TEXT = "Blåbær og jordbær: what a good year of mail looks like, told by three who had one, in some six hundred words. "


def make_template() -> tuple[str, str, str]:
    """Return HTML of about 8 kB with ten links, its text, its subject."""
    rows = "".join(_ROW.format(style=_STYLE, text=_TEXT * 6, n=number) for number in range(10))
    hello = "<p>Hello {{ contact.first_name }} of {{ company.name }},</p>"
    html = f"<!DOCTYPE html><html><body>{hello}{rows}</body></html>"
    text = "Hello {{ contact.first_name }},\n\n" + "".join(f"{_TEXT}: {{{{ links[{n}] }}}}\n\n" for n in range(10))
    return html, text, "{{ contact.first_name | default('Hello') }}, join us in {{ contact.city }}"


def make_values(number: int) -> dict[str, Any]:
    """Return the context of one contact."""
    values = sample_context()
    contact = {**values["contact"], "first_name": f"Åse {number}"}
    links = [f"https://track.example.com/c/{number:030d}{link:06d}" for link in range(10)]
    return {**values, "contact": contact, "links": links}


def run_ours(size: int) -> float:
    """Render `size` messages and return how many a second."""
    renderer = compile_renderer(*make_template())
    started = time.perf_counter()
    for number in range(size):
        values = make_values(number)
        renderer.subject(values)
        renderer.html_qp(values)
        renderer.text_qp(values)
    return size / (time.perf_counter() - started)


def run_reference(size: int) -> float:
    """Do the same with a sandboxed environment and EmailMessage, and return how many a second."""
    environment = ImmutableSandboxedEnvironment(autoescape=True)
    html, text, subject = (environment.from_string(source) for source in make_template())
    started = time.perf_counter()
    for number in range(size):
        values = make_values(number)
        message = EmailMessage(policy=SMTP)
        message["Subject"] = subject.render(values)
        message.set_content(text.render(values), cte="quoted-printable")
        message.add_alternative(html.render(values), subtype="html", cte="quoted-printable")
        message.as_bytes()
    return size / (time.perf_counter() - started)


def main() -> None:
    """Run the benchmark and print its last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=20_000)
    arguments = parser.parse_args()
    reference = run_reference(REFERENCE_SIZE)
    rate = run_ours(arguments.size)
    figures = {
        "messages_per_second": round(rate),
        "html_bytes": len(make_template()[0].encode()),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    plain = {"messages_per_second": round(reference)}
    ratio = round(rate / reference, 2)
    print(json.dumps({"name": "render", "figures": figures, "reference": plain, "ratio": ratio, "machine": machine}))


if __name__ == "__main__":
    main()
