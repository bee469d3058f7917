"""The built assets over HTTP: packed as the browser likes it, kept for a year, as their address carries the build."""

import json
import mimetypes
from pathlib import Path

from flask import Flask, Response, request, send_from_directory

from mailer.assets import static_dir
from mailer.web.access import public

_PACKED = (("br", ".br"), ("gzip", ".gz"))


def add_static_files(app: Flask) -> None:
    """Serve mailer/static under /static; `asset_stamp` in templates changes with each build."""
    folder = static_dir()
    app.jinja_env.globals["asset_stamp"] = _stamp(folder)

    @public
    def static(name: str) -> Response:
        return _serve(folder, name)

    app.add_url_rule("/static/<path:name>", "static", static)


def _serve(folder: Path, name: str) -> Response:
    """Return a file, packed where a packed one lies beside it and the browser takes it (RFC 9110, section 12.5.3)."""
    for encoding, suffix in _PACKED:
        if request.accept_encodings[encoding] and (folder / f"{name}{suffix}").is_file():
            response = send_from_directory(folder, f"{name}{suffix}", mimetype=mimetypes.guess_type(name)[0])
            response.headers["Content-Encoding"] = encoding
            break
    else:
        response = send_from_directory(folder, name)
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def _stamp(folder: Path) -> str:
    try:
        return str(json.loads((folder / "stamp.json").read_text(encoding="ascii"))["stamp"])[:12]
    except OSError:
        return "unbuilt"
