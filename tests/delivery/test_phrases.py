"""Phrases are found by keys first; nothing that plain patterns find may be missed for it."""

import pytest

from mailer.delivery.phrases import Phrases, compile_phrases, fold
from mailer.delivery.reason_texts import MACROS, TEXTS
from mailer.delivery.reason_texts_world import TEXTS_WORLD
from mailer.delivery.reasons import find_reason

SAID = (
    "550 5.1.1 <x@y.example>: Recipient address rejected: User unknown in virtual mailbox table",
    "552 5.2.2 The email account that you tried to reach is over quota",
    "host mx.y.example[192.0.2.7] said: 550 5.7.1 Message rejected as spam by Content Filtering",
    "451 4.7.1 Greylisting in action, please come back later",
    "Das Postfach des Empfängers ist voll",
    "L'utilisateur n'existe pas",
    "Пользователь не найден",
    "宛先のメールアドレスが見つかりませんでした",
    "收件人不存在",
    "all is well",
    "",
)


def _find_plainly(said: str) -> str | None:
    for reason, lines in (*TEXTS_WORLD, *TEXTS):
        if any(pattern.search(said) for _, pattern in compile_phrases(lines, MACROS)):
            return reason
    return None


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("before", ["", "x", "\u00e9", "at 12:00 the server wrote: "])
def test_what_plain_patterns_find_is_found_at_even_and_odd_places(before: str, said: str) -> None:
    assert find_reason(before + said) == _find_plainly(fold(before + said, 1_500))


def test_every_key_leads_to_its_pattern_at_even_and_odd_places() -> None:
    for _, lines in (*TEXTS_WORLD, *TEXTS):
        for keys, _ in compile_phrases(lines, MACROS):
            for key in keys:
                found = Phrases([(key, key.replace("(", r"\(").replace(".", r"\."))])
                assert found.find(f"{key} 1") == found.find(f"1{key}") == key


def test_the_first_list_counts_and_all_can_be_asked_for() -> None:
    phrases = Phrases([("full", "over ?-?quota|mailbox full"), ("no", r"no<2 words> such|mailbox")])

    assert phrases.find("the mailbox is over quota") == "full"
    assert phrases.find_all("the mailbox is over quota") == {"full", "no"}
    assert phrases.find("no one such") == "no"
    assert phrases.find("no one is ever such") is None


def test_a_pattern_without_plain_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no plain text"):
        Phrases([("x", r"\d+ \w+")])
