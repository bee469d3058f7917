"""A form that people have signed up with, for pictures and pages: each state, each kind of reason."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import insert

from mailer.clock import utc_now
from mailer.context import Context
from mailer.forms import service
from mailer.forms.confirm import confirm
from mailer.forms.handle import handle_sign_ups
from mailer.forms.spec import build_form_file
from mailer.forms.submit import Visitor
from mailer.schema.forms import Form, FormRefusal, SignUp
from tests.support.forms import keep_sign_up, link_of, read_row

SPEC = {
    "name": "Seminar in Oslo",
    "title": "Join us in Oslo",
    "intro": "Half a day on quieter offices, with people who have done it.\nWe write when the next one is set.",
    "sender": "Fjord Seminars",
    "topics": ["Invitations", "News"],
    "wording": "Yes, Fjord Seminars may write to me about what I have chosen here. I can leave at any time.",
    "fields": [
        {"field": "first_name", "required": True},
        {"field": "company", "label": "Where do you work?", "prefill": True},
        {"field": "customer_class"},
    ],
    "accent": "#0e6b52",
    "button": "Count me in",
    "privacy_url": "https://www.example.com/privacy",
    "sites": ["https://www.example.com"],
    "actions": [{"add_to_segment": "Seminar participants"}, {"follow_up": {"title": "Call about the seminar"}}],
    "closes_after": 40,
}


@dataclass(frozen=True)
class SignedUp:
    """The form, and somebody who has not pressed the button yet."""

    form: Form
    waiting: SignUp

    def link(self, ctx: Context) -> str:
        """The path in the mail of who waits."""
        return link_of(ctx, self.waiting)


def make_signed_up(ctx: Context) -> SignedUp:
    """Write the form, nine sign-ups and who was turned away. It needs the world of `make_story`."""
    form = service.create_form(ctx, build_form_file(SPEC))
    service.open_form(ctx, form.public_id)
    names = ("maria.lund", "ole.hansen", "ida.dahl", "nora.vik", "emil.bakke", "sara.moen", "jon.lie", "eva.ruud")
    rows = [keep_sign_up(ctx, form, f"{name}@example.com") for name in names]
    rows.append(keep_sign_up(ctx, form, "ida.dahl@example.com"))
    handle_sign_ups(ctx)
    for row in rows[:5]:
        confirm(ctx, link_of(ctx, read_row(ctx, row))[3:], Visitor("198.51.100.7", "Test browser"))
    with ctx.write() as session:
        session.get_one(SignUp, rows[5].id).status = "expired"
        session.get_one(SignUp, rows[5].id).submitted_at = utc_now() - timedelta(days=9)
        day = utc_now().date()
        counts = {"honeypot": 214, "address_limit": 37, "too_quick": 3}
        session.execute(
            insert(FormRefusal),
            [{"form_id": form.id, "day": day, "reason": reason, "count": n} for reason, n in counts.items()],
        )
    return SignedUp(form, read_row(ctx, rows[6]))
