"""The door that mail providers call: POST /webhooks/PROVIDER/TOKEN.

400: the signature does not fit; 404: no such address; 413: too large; 500: we failed, call again; 200: stored, or known
already, whatever it is about.
"""

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from mailer.bounces.calls import Outcome, take_call
from mailer.bounces.webhooks.call import MAX_BYTES, Call
from mailer.log import get_logger
from mailer.web.access import public
from mailer.web.requests import app_context

pages = Blueprint("webhook_door", __name__, url_prefix="/webhooks")
log = get_logger("webhooks")
_STATUS = {
    Outcome.STORED: 200,
    Outcome.REPEATED: 200,
    Outcome.CONFIRMED: 200,
    Outcome.REFUSED: 400,
    Outcome.NOWHERE: 404,
}


@pages.post("/<provider>/<token>")
@public
def take(provider: str, token: str) -> Response:
    """Take a call in."""
    request.max_content_length = MAX_BYTES
    request.max_form_memory_size = MAX_BYTES
    try:
        body = request.get_data(cache=False, parse_form_data=False)
    except RequestEntityTooLarge:
        return _say("too large", 413)
    headers = {name.lower(): value for name, value in request.headers.items()}
    call = Call(body, headers.get("content-type", ""), headers)
    try:
        outcome = take_call(app_context(), provider, token, call)
    except Exception as error:  # noqa: BLE001 - a door: whatever it was, the provider keeps the call and comes again
        log.warning("call_not_taken", provider=provider, error=type(error).__name__)
        return _say("not taken, call again", 500)
    return _say(outcome.value, _STATUS[outcome])


@pages.get("/<provider>/<token>")
@public
def look(provider: str, token: str) -> Response:
    """Answer the look that some providers take before they call; it tells nothing."""
    del provider, token
    return _say("ok", 200)


def _say(text: str, status: int) -> Response:
    return Response(f"{text}\n", status=status, mimetype="text/plain")
