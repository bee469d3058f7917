"""When two reports say the same: their words without what differs from mail to mail. Pure.

A person teaches a verdict once; a later report with exactly the same words, but for addresses, numbers, names of hosts
and times, gets it, too. Two reports are never alike because they look alike: a guess must not suppress anybody.
"""

import hashlib
import re

_ADDRESS = re.compile(r"\S*@\S+")
_URL = re.compile(r"\b(?:https?|ftp)://\S+")
_HOST = re.compile(r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b")
_DATE = re.compile(
    r"\b(?:mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\b|\b(?:gmt|utc|[ap]m)\b"
)
_TOKEN = re.compile(r"\b(?=\w*\d)\w+\b")
_OTHER = re.compile(r"[^\w]+")
_MIN_WORDS = 3
_SHOWN = 1_000


def strip_words(text: str) -> str:
    """Return the words that stay the same, in lower case, a space between them."""
    said = text[:4_000].casefold()
    for pattern in (_URL, _ADDRESS, _HOST, _TOKEN, _DATE):
        said = pattern.sub(" ", said)
    return _OTHER.sub(" ", said).strip()[:_SHOWN]


def digest_words(subject: str, text: str) -> bytes | None:
    """Return what alike reports have in common; None where too little is left to tell them from others."""
    words = strip_words(f"{subject} {text}")
    return hashlib.sha256(words.encode()).digest() if len(words.split()) >= _MIN_WORDS else None
