"""Delay warnings: the server still tries, nothing has failed (RFC 3464, section 2.3.3). Pure."""

from mailer.delivery.phrases import Phrases, fold

_READ = 3_000
_SURELY = r"""
    warning message only|this is (?:just |only )?a warning|still being retried|do(?: not|n't) need to re-?send
    it will be retried until|delivery status notification \(delay\)|message will be retried|no need to re-?send
    n'avez pas (?:besoin|à) (?:de )?(?:le )?renvoyer|m[üu]ssen die nachricht nicht erneut
    this is not a (?:bounce|failure)|will be (?:notified|informed) if|we(?:'ll| will) (?:keep|continue) trying
"""
_DELAY = r"""
    not yet (?:been )?(?:delivered|able)|has(?: not|n't) been delivered yet|(?:has|have) been delayed
    delivery (?:is )?(?:delayed|pending)
    will (?:be retried|be tried again|continue to (?:try|attempt|be attempted)|retry|try again|be attempted)
    will attempt to deliver|kept in the queue|only a temporary failure|temporary failure report
    keep(?:s)? trying|delayed mail|warning\W{1,3}(?:could not send|message)
    could not send (?:mail|message) for (?:the )?(?:past|last)|temporary non-?delivery
    (?:message|mail|it) (?:is|has been) (?:still )?queued
    (?:not|un)delivered (?:yet|for|after) \d+ (?:hours|minutes)|(?:is|are) being delayed
    delivery attempts will continue|no action is required|delivery (?:status notification \()?delay
    message delayed|still trying|mail (?:is )?(?:still )?(?:in|on) (?:the )?queue|is deferred
    wird (?:weiter|erneut) versucht|verz[öo]ger|noch nicht zugestellt|retard[ée]|sera (?:retent|r[ée]ess)
    nouvelle tentative|retrasad|se (?:seguir[áa]|volver[áa]) .{0,20}intent|ritardat|ritardo|vertraagd|f[öo]rsen
    forsink|atrasad|задерж|遅延|再試行|配送を(?:続|繰)|再送(?:を|し)(?:試|続)
"""
_GAVE_UP = r"""
    (?:i've|have|has|am|is|are|now) giv(?:en|ing) up|giving up (?:on|after)|permanent(?:ly)? (?:error|fail)
    could not be delivered for|has been returned|failed permanently|will not (?:be )?(?:retr|continue|try)
    no further|did not reach|(?<!remains )(?<!is still )undeliverable|too long|message will be deleted
    retry time(?:out)? (?:exceeded|not reached)|unable to deliver your message after|has expired|delivery failed
    endg[üu]ltig|d[ée]finitif|definitiv|maximum (?:number|time)|(?:removed|deleted) from (?:the )?queue
"""

_WORDS = Phrases([("surely", _SURELY), ("maybe", _DELAY), ("over", _GAVE_UP)])


def says_delayed(subject: str, text: str) -> bool:
    """Tell whether the server still tries."""
    said = _WORDS.find_all(fold(f"{subject}\n{text}", _READ))
    return "surely" in said or ("maybe" in said and "over" not in said)


def says_delayed_surely(subject: str, text: str) -> bool:
    """Tell whether it says so in words that nobody writes who gave up."""
    said = _WORDS.find_all(fold(f"{subject}\n{text}", _READ))
    return "surely" in said and "over" not in said
