"""Delay warnings: the server still tries, nothing has failed (RFC 3464, section 2.3.3). Pure."""

import re

_SURELY = re.compile(
    r"warning message only|this is (?:just |only )?a warning|still being retried|do(?: not|n't) need to resend"
    r"|it will be retried until|delivery status notification \(delay\)|message will be retried|no need to re-?send"
    r"|n'avez pas (?:besoin|à) (?:de )?(?:le )?renvoyer|m[üu]ssen die nachricht nicht erneut|this is not a (?:bounce"
    r"|failure)"
    r"|will be (?:notified|informed) if|we(?:'ll| will) (?:keep|continue) trying",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"not yet (?:been )?(?:delivered|able)|has(?: not|n't) been delivered yet|(?:has|have) been delayed"
    r"|delivery (?:is )?(?:delayed|pending)"
    r"|will (?:be retried|be tried again|continue to (?:try|attempt|be attempted)|retry|try again|be attempted"
    r"|attempt to deliver)"
    r"|keep(?:s)? trying|delayed mail|warning\W{1,3}(?:could not send|message)|could not send (?:mail"
    r"|message) for (?:the )?(?:past|last)|temporary non-?delivery|(?:message|mail|it) (?:is"
    r"|has been) (?:still )?queued|(?:not|un)delivered (?:yet|for|after) \d+ (?:hours|minutes)|(?:is"
    r"|are) being delayed"
    r"|delivery attempts will continue|no action is required|delivery (?:status notification \()?delay"
    r"|message delayed|still trying"
    r"|mail (?:is )?(?:still )?(?:in|on) (?:the )?queue|is deferred|wird (?:weiter|erneut) versucht|verz[öo]ger"
    r"|noch nicht zugestellt"
    r"|retard[ée]|sera (?:retent|r[ée]ess)|nouvelle tentative|retrasad|se (?:seguir[áa]|volver[áa]) .{0,20}intent"
    r"|ritardat|ritardo"
    r"|vertraagd|f[öo]rsen|forsink|atrasad|задерж|遅延|再試行|配送を(?:続|繰)|再送(?:を|し)(?:試|続)",
    re.IGNORECASE,
)
_GAVE_UP = re.compile(
    r"(?:i've|have|has|am|is|are|now) giv(?:en|ing) up|giving up (?:on|after)|permanent(?:ly)? (?:error|fail)"
    r"|could not be delivered for|has been returned|failed permanently"
    r"|will not (?:be )?(?:retr|continue|try)|no further|did not reach|(?<!remains )(?<!is still )undeliverable"
    r"|too long|message will be deleted"
    r"|retry time(?:out)? (?:exceeded|not reached)|unable to deliver your message after|has expired|delivery failed"
    r"|endg[üu]ltig|d[ée]finitif|definitiv|maximum (?:number|time)|(?:removed|deleted) from (?:the )?queue",
    re.IGNORECASE,
)


def says_delayed(subject: str, text: str) -> bool:
    """Tell whether the server still tries."""
    both = f"{subject}\n{text[:3_000]}"
    return _SURELY.search(both) is not None or (_DELAY.search(both) is not None and _GAVE_UP.search(both) is None)


def says_delayed_surely(subject: str, text: str) -> bool:
    """Tell whether it says so in words that nobody writes who gave up."""
    both = f"{subject}\n{text[:3_000]}"
    return _SURELY.search(both) is not None and _GAVE_UP.search(both) is None
