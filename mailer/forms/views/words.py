"""What the public pages say, for gettext: faults, outcomes, standings of a link."""

from dataclasses import dataclass

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from mailer.forms.answers import FaultKind
from mailer.forms.confirm import Standing
from mailer.forms.submit import Outcome
from mailer.statuses import SignUpRefusal

FAULTS: dict[FaultKind, LazyString] = {
    FaultKind.MISSING: _("Please fill this in."),
    FaultKind.NO_ADDRESS: _("This is no address that mail can be sent to. It should look like name@example.com."),
    FaultKind.TOO_LONG: _("This is too long."),
    FaultKind.NO_NUMBER: _("Please write a number."),
    FaultKind.NO_DATE: _("Please write a date."),
    FaultKind.NO_CHOICE: _("Please choose one of the list."),
    FaultKind.NO_TOPIC: _("Please tick what you would like to get."),
    FaultKind.NOT_AGREED: _("We need your agreement to write to you."),
}

OUTCOMES: dict[Outcome, tuple[int, LazyString | str]] = {
    Outcome.FAULTS: (400, ""),
    Outcome.LOOK_AGAIN: (200, _("Please have a last look, then press the button.")),
    Outcome.TOO_QUICK: (400, _("That was quick! Please have a last look, then press the button again.")),
    Outcome.TOO_OLD: (400, _("This page was open for a long time. Please press the button again.")),
    Outcome.TOO_MANY: (429, _("There are very many sign-ups at the moment. Please try again in a quarter of an hour.")),
    Outcome.AWAY: (503, _("We cannot take sign-ups right now. Please try again in a few minutes.")),
    Outcome.FOREIGN_SITE: (403, _("You came from a site that this form is not meant for. You can sign up here.")),
}
"""Status and notice where the form is shown again; what was typed is kept."""


@dataclass(frozen=True)
class Said:
    """What the page of a link says."""

    title: LazyString
    texts: tuple[LazyString, ...]
    done: LazyString | None = None


STANDINGS: dict[Standing, Said] = {
    Standing.ASKS: Said(
        _("Is this you?"),
        (_("Press the button, and you are signed up. If it was not you, close this page: nothing happens."),),
    ),
    Standing.DONE: Said(_("You are signed up"), (), _("Confirmed")),
    Standing.ALREADY: Said(_("You are signed up already"), (_("There is nothing more to do."),), _("Confirmed")),
    Standing.LATE: Said(
        _("This link has run out"), (_("It works for seven days. Please sign up again: it takes a minute."),)
    ),
    Standing.FULL: Said(_("All places are taken"), (_("Others were quicker. We are sorry; your data are deleted."),)),
}

REFUSALS: dict[SignUpRefusal, tuple[LazyString, LazyString]] = {
    SignUpRefusal.HONEYPOT: (_("Robot"), _("filled in the field that people do not see")),
    SignUpRefusal.TOO_QUICK: (_("Too quick"), _("sent within two seconds; a person was asked to press again")),
    SignUpRefusal.TOO_OLD: (
        _("Too old a page"),
        _("open for more than twelve hours; a person was asked to press again"),
    ),
    SignUpRefusal.REPLAYED: (_("Sent twice"), _("the same page sent again; only the first counts")),
    SignUpRefusal.FOREIGN_SITE: (_("Foreign site"), _("from a site that is not among those allowed")),
    SignUpRefusal.ADDRESS_LIMIT: (_("Same address again"), _("more than three times in an hour")),
    SignUpRefusal.IP_LIMIT: (_("Too many from one place"), _("more than the limit for one IP")),
    SignUpRefusal.NETWORK_LIMIT: (_("Too many from one network"), _("more than the limit for a network")),
    SignUpRefusal.DOMAIN_LIMIT: (_("Too many to one mail domain"), _("more than the limit for a domain")),
    SignUpRefusal.BREAKER: (_("Flood"), _("the form rested after far too many sign-ups")),
    SignUpRefusal.MAIL_LIMIT: (_("Had a mail already"), _("one confirmation mail a day, three in all")),
    SignUpRefusal.SUPPRESSED: (_("Suppressed by staff"), _("or marked do not mail; only staff can lift that")),
    SignUpRefusal.COMPLAINED: (_("Complained"), _("reported an earlier confirmation mail as spam")),
    SignUpRefusal.REPEATED: (_("Signed up twice"), _("and confirmed the other one")),
    SignUpRefusal.UNCONFIRMED: (_("Not confirmed"), _("deleted after 30 days")),
    SignUpRefusal.FULL: (_("No place left"), _("confirmed after the last place was taken")),
    SignUpRefusal.CLOSED: (_("Closed"), _("sent to a form that takes no sign-ups")),
}
"""What staff read in the numbers of a form: a word, and what it means."""
