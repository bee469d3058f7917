"""A call that was kept as a file: provider, headers, content type and body in one JSON document. Pure."""

import json

from mailer.bounces.webhooks.call import Call
from mailer.errors import InputError
from mailer.statuses import Provider

SLUGS = ", ".join(Provider)


def read_stored(document: bytes, provider: str = "") -> tuple[Provider, Call]:
    """Return whose call a document holds, and the call; `provider` goes before what the document says.

    Raises:
        InputError: no such document, or no such provider.
    """
    try:
        item = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "not a JSON document", mend="a call is kept as {provider, headers, content_type, body}"
        ) from error
    if not isinstance(item, dict) or not isinstance(item.get("body"), str):
        raise InputError("the document has no body", mend="give the call's body as text in the key body")
    headers = item.get("headers")
    named = {str(name).lower(): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    slug = provider or str(item.get("provider", ""))
    if slug not in {one.value for one in Provider}:
        raise InputError(f"no provider {slug or 'is named'}", where="provider", mend=f"known: {SLUGS}")
    kind = item.get("content_type")
    return Provider(slug), Call(item["body"].encode(), kind if isinstance(kind, str) else "application/json", named)
