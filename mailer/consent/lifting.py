"""Who may end a suppression by which act (FEATURES C10). A table, pure."""

from collections.abc import Mapping

from mailer.statuses import LiftAct, SuppressionReason

_STAFF_OR_PERSON = frozenset({LiftAct.STAFF, LiftAct.DOUBLE_OPT_IN})
LIFTED_BY: Mapping[SuppressionReason, frozenset[LiftAct]] = {
    SuppressionReason.HARD_BOUNCE: _STAFF_OR_PERSON,
    SuppressionReason.SOFT_BOUNCES: _STAFF_OR_PERSON,
    SuppressionReason.PROVIDER: _STAFF_OR_PERSON,
    SuppressionReason.MANUAL: frozenset({LiftAct.STAFF}),
    SuppressionReason.UNSUBSCRIBE: frozenset({LiftAct.OWN_LINK, LiftAct.DOUBLE_OPT_IN}),
    SuppressionReason.COMPLAINT: frozenset({LiftAct.DOUBLE_OPT_IN}),
    SuppressionReason.ERASURE: frozenset({LiftAct.DOUBLE_OPT_IN}),
}
"""The acts that end a suppression, by its reason. Import, API and override end none: they stand in no row.

An erased person comes back by a fresh sign-up, which is confirmed like every other. What a member of staff suppressed
by hand is the staff's to lift: it may have nothing to do with the person's wish.
"""
_WHY = {
    SuppressionReason.UNSUBSCRIBE: (
        "this person unsubscribed",
        "only they can come back, by the link in a mail they have or by signing up again",
    ),
    SuppressionReason.COMPLAINT: (
        "this person reported a mail as spam",
        "only they can come back, by signing up again and confirming it from their mailbox",
    ),
    SuppressionReason.ERASURE: (
        "this person asked to be erased; only a keyed hash of the address is left",
        "only they can come back, by a fresh sign-up",
    ),
    SuppressionReason.MANUAL: ("a member of staff suppressed this address", "a member of staff can lift it"),
}
_BOUNCED = ("mail to this address came back", "staff can lift it, or the person by signing up and confirming")


def may_lift(reason: SuppressionReason | str, act: LiftAct) -> bool:
    """Return whether `act` ends a suppression with this reason."""
    return act in LIFTED_BY[SuppressionReason(reason)]


def list_lifted_by(act: LiftAct) -> tuple[SuppressionReason, ...]:
    """Return the reasons that `act` ends."""
    return tuple(reason for reason, acts in LIFTED_BY.items() if act in acts)


def why_not_lift(reason: SuppressionReason | str, act: LiftAct) -> tuple[str, str] | None:
    """Return why `act` does not end it and who can; None where it does."""
    reason = SuppressionReason(reason)
    return None if act in LIFTED_BY[reason] else _WHY.get(reason, _BOUNCED)
