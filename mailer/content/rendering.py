"""Frozen contents as renderers. Apart from service.py, which brings along all that compiling a design needs."""

from mailer.content.render import Renderer, compile_renderer
from mailer.schema.content import ContentVersion


def get_renderer(version: ContentVersion) -> Renderer:
    """Return the renderer of a frozen content, compiled once a process."""
    return compile_renderer(version.html, version.text, version.subject, version.preheader)
