"""Whatever happens in whatever order, nobody is mailed whom a plain model forbids (PROOF C21).

Every step is the real thing: links with their tokens, reports, imports, erasure; a send is the real audience, then
the real gate. The model below knows no SQL. After each run the ledger is replayed against the tables.

`MAILER_CONSENT_RUNS` and `MAILER_CONSENT_STEPS` make it longer (`make fuzz-consent`).
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailer import tokens
from mailer.campaigns import audience
from mailer.clock import utc_now
from mailer.consent import comeback, overrides, preferences, queries, service, suppressions
from mailer.consent.bulk import Imported, ImportTerms, lock_imported, record_imported
from mailer.consent.expiry import expire_due
from mailer.consent.replay import list_differences
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery.claim import claim_batch
from mailer.delivery.gate import Candidate, pass_gate
from mailer.errors import ConflictError, InputError, NotAllowedError
from mailer.privacy.erasure import start_erasure
from mailer.privacy.queries import find_person_of_contact
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.schema.consent import Consent, ConsentOverride, ConsentOverridePerson, Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, Sending
from mailer.segments import service as segments
from mailer.statuses import Basis, Permission, SuppressionReason
from tests.support.make import make_contact, make_sending, make_staff, make_topic, make_workspace

RUNS = int(os.environ.get("MAILER_CONSENT_RUNS", "8"))
STEPS = int(os.environ.get("MAILER_CONSENT_STEPS", "15"))
CAUSE = Cause(source="test", channel="test")
SHARED = (0, 1)
"""The people who share one mailbox."""
PEOPLE = 4
TOPICS = 3
OWN_PRODUCTS = 2
"""The topic that customers and businesses may get."""
BASES = (None, Basis.CONSENT, Basis.CUSTOMER, Basis.CONTRACT)
who = st.integers(0, PEOPLE - 1)
topic = st.integers(0, TOPICS - 1)


# ------------------------------------------------------------------ the model


@dataclass
class Person:
    """What the model knows of a contact; `left` and `joined` are topics."""

    mailbox: int
    permission: str = "none"
    runs_out: datetime | None = None
    status: dict[int, str] = field(default_factory=dict)
    paused_until: datetime | None = None
    do_not_mail: bool = False


@dataclass
class Model:
    """Who may be mailed, in plain Python. `suppressed`: reasons by mailbox, each with its topic or None."""

    people: list[Person]
    suppressed: dict[int, set[tuple[str, int | None]]] = field(default_factory=dict)
    ended_by_click: dict[int, set[int]] = field(default_factory=dict)
    overridden: dict[int, set[int]] = field(default_factory=dict)

    def at(self, mailbox: int) -> list[int]:
        return [number for number, person in enumerate(self.people) if person.mailbox == mailbox]

    def sharing(self, number: int) -> list[Person]:
        return [self.people[other] for other in self.at(self.people[number].mailbox)]

    def may_send(self, number: int, about: int, now: datetime) -> bool:
        person = self.people[number]
        if person.do_not_mail or any(scope in (None, about) for _, scope in self.suppressed.get(person.mailbox, set())):
            return False
        if person.paused_until is not None and person.paused_until > now:
            return False
        holds = person.runs_out is None or person.runs_out > now
        enough = ("consent", "customer", "business") if about == OWN_PRODUCTS else ("consent",)
        if holds and person.permission in enough and person.status.get(about) == "subscribed":
            return True
        return number in self.overridden.get(about, set()) and not self.has_said_no(number, about)

    def has_said_no(self, number: int, about: int) -> bool:
        return any(
            one.permission == "withdrawn" or one.status.get(about) in ("unsubscribed", "pending")
            for one in self.sharing(number)
        )

    def withdraw(self, number: int) -> None:
        for one in self.sharing(number):
            one.permission, one.runs_out = "withdrawn", None
            one.status = dict.fromkeys(one.status, "unsubscribed")

    def leave(self, number: int, about: int) -> None:
        for one in self.sharing(number):
            one.status[about] = "unsubscribed"

    def join(self, number: int, about: int, now: datetime) -> None:
        one = self.people[number]
        one.permission, one.runs_out = "consent", one.runs_out if self._holds_consent(one, now) else None
        one.status[about] = "subscribed"

    @staticmethod
    def _holds_consent(one: Person, now: datetime) -> bool:
        return one.permission == "consent" and (one.runs_out is None or one.runs_out > now)


# ------------------------------------------------------------------ the machine


class ConsentMachine(RuleBasedStateMachine):
    """The real thing and the model beside each other."""

    ctx: Context
    make: Callable[[], tuple[Context, int]]

    @initialize(files=st.lists(st.tuples(st.sampled_from(BASES), topic), min_size=PEOPLE, max_size=PEOPLE))
    def begin(self, files: list[tuple[Basis | None, int]]) -> None:
        """Everybody comes from a file, or from nowhere: with permission or without, and subscribed to a topic."""
        self.ctx, run = self.make()
        expire_due(self.ctx)
        with self.ctx.write() as session:
            self.staff, self.second = make_staff(session).id, make_staff(session).id
            made = [make_topic(session, is_own_products=number == OWN_PRODUCTS) for number in range(TOPICS)]
            self.topics = [one.id for one in made]
            first = make_contact(session, f"person0@run{run}.example.com", key=self.ctx.keys.suppression)
            people = [first, make_contact(session, address_id=first.address_id)]
            people += [
                make_contact(session, f"person{number}@run{run}.example.com", key=self.ctx.keys.suppression)
                for number in range(2, PEOPLE)
            ]
        self.contacts = [one.id for one in people]
        self.addresses = [one.address_id or 0 for one in people]
        self.segment = segments.create_static(self.ctx, f"Everybody {run}", contact_ids=self.contacts).id
        self.model = Model([Person(0 if number in SHARED else number) for number in range(PEOPLE)])
        self.undo: tuple[int, str, Any] | None = None
        self.run, self.erased = run, set[int]()
        for number, (basis, about) in enumerate(files):
            if basis is not None:
                self.import_again(number, basis, about, None)

    def teardown(self) -> None:
        """A mail about every topic at the end; and the ledger replays to the tables."""
        if hasattr(self, "model"):
            for about in range(TOPICS):
                self.send(about)
            with self.ctx.read() as session:
                assert list_differences(session) == []
            with self.ctx.write() as session:  # so that the next run's people choose among its own topics
                session.execute(update(Topic).where(Topic.id.in_(self.topics)).values(archived_at=utc_now()))

    def token(self, number: int, about: int | None) -> str:
        return tokens.manage_token(self.ctx.keys, self.contacts[number], 0 if about is None else self.topics[about], 0)

    def contact(self, session: Session, number: int) -> Contact:
        return session.get_one(Contact, self.contacts[number])

    def email_hash(self, session: Session, number: int) -> bytes:
        return session.get_one(Address, self.addresses[number]).email_hash

    # -------------------------------------------------------------- the person

    @rule(number=who, about=topic)
    def ask(self, number: int, about: int) -> None:
        """A form was filled in: not confirmed yet, and nothing that is known changes by it."""
        if number in self.erased:
            return
        with self.ctx.write() as session:
            comeback.await_confirmation(session, self.contact(session, number), [self.topics[about]])
        self.model.people[number].status.setdefault(about, "pending")
        self.undo = None

    @rule(number=who, about=topic)
    def confirm(self, number: int, about: int) -> None:
        """The person confirms from their mailbox: they come back, whatever was."""
        if number in self.erased:
            return
        with self.ctx.write() as session:
            contact = self.contact(session, number)
            comeback.lift_for_person(session, self.email_hash(session, number), [self.topics[about]])
            service.give_permission(session, contact, Permission.CONSENT, CAUSE, basis=Basis.CONSENT)
            service.subscribe(session, contact, self.topics[about], CAUSE)
        person = self.model.people[number]
        self.model.suppressed[person.mailbox] = {
            (reason, scope)
            for reason, scope in self.model.suppressed.get(person.mailbox, set())
            if reason == "manual" or scope not in (None, about)
        }
        person.permission, person.runs_out = "consent", None
        self.model.join(number, about, utc_now())
        self.undo = None

    @rule(number=who, about=topic)
    def leave_by_link(self, number: int, about: int) -> None:
        if number in self.erased:
            return
        before = self.remember(number)
        undo = preferences.unsubscribe_by_link(self.ctx, self.token(number, about), channel="page")
        self.model.leave(number, about)
        self.undo = (number, undo, before) if undo else None

    @rule(number=who)
    def leave_all_by_link(self, number: int) -> None:
        if number in self.erased:
            return
        before = self.remember(number)
        undo = preferences.unsubscribe_by_link(self.ctx, self.token(number, None), channel="page", everything=True)
        self.model.withdraw(number)
        self.undo = (number, undo, before) if undo else None

    @rule(number=who, about=topic)
    def leave_by_one_click(self, number: int, about: int) -> None:
        if number in self.erased:
            return
        new = [
            other
            for other in self.model.at(self.model.people[number].mailbox)
            if self.model.people[other].status.get(about) != "unsubscribed"
        ]
        preferences.unsubscribe_by_link(self.ctx, self.token(number, about), channel=preferences.ONE_CLICK)
        self.model.leave(number, about)
        for other in new:
            self.model.ended_by_click.setdefault(other, set()).add(about)
        if new and len(self.model.ended_by_click.get(number, ())) >= 2:  # two topics ended by one click mean all
            self.model.withdraw(number)
        self.undo = None

    @rule(number=who, about=topic)
    def leave_by_mail(self, number: int, about: int) -> None:
        if number in self.erased:
            return
        local = tokens.mail_manage_local(self.token(number, about))
        with self.ctx.write() as session:
            assert preferences.unsubscribe_by_mail(session, self.ctx, local)
        self.model.leave(number, about)
        self.undo = None

    @rule(number=who, chosen=st.sets(topic))
    def choose(self, number: int, chosen: set[int]) -> None:
        if number in self.erased:
            return
        before = self.remember(number)
        undo = preferences.save_choices(self.ctx, self.token(number, None), {self.topics[one] for one in chosen})
        person = self.model.people[number]
        for about in range(TOPICS):
            if about in chosen and person.status.get(about) != "subscribed":
                self.model.join(number, about, utc_now())
            elif about not in chosen and person.status.get(about) == "subscribed":
                self.model.leave(number, about)
        self.undo = (number, undo, before) if undo else None

    @rule(number=who, days=st.sampled_from([0, 7, 30]))
    def pause(self, number: int, days: int) -> None:
        if number in self.erased:
            return
        until = preferences.pause_by_link(self.ctx, self.token(number, None), days)
        for one in self.model.sharing(number):
            one.paused_until = until

    @rule(number=who)
    def pause_ends(self, number: int) -> None:
        """Time passes: the pauses at this mailbox are over."""
        if number in self.erased:
            return
        over = utc_now() - timedelta(seconds=1)
        ids = [self.contacts[other] for other in self.model.at(self.model.people[number].mailbox)]
        with self.ctx.write() as session:
            due = update(Consent).where(Consent.contact_id.in_(ids), Consent.paused_until.is_not(None))
            session.execute(due.values(paused_until=over))
        for one in self.model.sharing(number):
            one.paused_until = over if one.paused_until else None

    @precondition(lambda self: self.undo is not None)
    @rule()
    def take_back(self) -> None:
        """Undo the last change at once: exactly what was, unless the mailbox complained or was erased since."""
        assert self.undo is not None
        number, undo, before = self.undo
        mailbox = self.model.people[number].mailbox
        final = {"complaint", "erasure"} & {reason for reason, _ in self.model.suppressed.get(mailbox, set())}
        if final:
            with pytest.raises(ConflictError):
                preferences.undo_by_link(self.ctx, self.token(number, None), undo)
        else:
            preferences.undo_by_link(self.ctx, self.token(number, None), undo)
            for other, (permission, runs_out, status) in before.items():
                person = self.model.people[other]
                person.permission, person.runs_out = permission, runs_out
                # what was never confirmed has to be asked for anew
                person.status = {
                    about: "unsubscribed" if state == "pending" and person.status.get(about) != "pending" else state
                    for about, state in {**dict.fromkeys(person.status, "unsubscribed"), **status}.items()
                }
        self.undo = None

    def remember(self, number: int) -> dict[int, tuple[str, datetime | None, dict[int, str]]]:
        return {
            other: (
                self.model.people[other].permission,
                self.model.people[other].runs_out,
                dict(self.model.people[other].status),
            )
            for other in self.model.at(self.model.people[number].mailbox)
        }

    # -------------------------------------------------------------- others

    @rule(number=who, about=st.none() | topic)
    def object_by_phone(self, number: int, about: int | None) -> None:
        if number in self.erased:
            return
        topic_id = None if about is None else self.topics[about]
        service.object_to_mail(self.ctx, self.contacts[number], CAUSE, topic_id=topic_id)
        if about is None:
            self.model.withdraw(number)
        else:
            self.model.leave(number, about)
        self.undo = None

    @rule(number=who)
    def complain(self, number: int) -> None:
        if number in self.erased:
            return
        with self.ctx.write() as session:
            service.complain(session, self.contact(session, number), CAUSE)
        self.model.withdraw(number)
        self.model.suppressed.setdefault(self.model.people[number].mailbox, set()).add(("complaint", None))

    @rule(
        number=who,
        reason=st.sampled_from(["hard_bounce", "manual", "erasure", "provider", "unsubscribe"]),
        about=st.none() | topic,
    )
    def suppress(self, number: int, reason: str, about: int | None) -> None:
        if number in self.erased:
            return
        about = None if reason in ("hard_bounce", "erasure") else about
        topic_id = None if about is None else self.topics[about]
        with self.ctx.write() as session:
            hashed = self.email_hash(session, number)
            service.suppress(session, hashed, SuppressionReason(reason), "test", topic_id=topic_id)
        self.model.suppressed.setdefault(self.model.people[number].mailbox, set()).add((reason, about))

    @rule(number=who)
    def erase(self, number: int) -> None:
        """Everybody at this mailbox is erased: nobody is left to be mailed, and only a hash is known."""
        if number in self.erased:
            return
        with self.ctx.read() as session:
            person = find_person_of_contact(session, self.ctx, self.contact(session, number))
        start_erasure(self.ctx, person)
        for other in self.model.at(self.model.people[number].mailbox):
            self.erased.add(other)
            self.model.people[other] = Person(-1 - other)
        self.undo = None

    @rule(number=who)
    def lift_by_staff(self, number: int) -> None:
        if number in self.erased:
            return
        mailbox = self.model.people[number].mailbox
        there = self.model.suppressed.get(mailbox, set())
        kept = {one for one in there if one[0] not in ("hard_bounce", "manual", "provider")}
        email = f"person{mailbox}@run{self.run}.example.com"
        if not there:
            return
        if kept == there:
            with pytest.raises(NotAllowedError):
                suppressions.lift_suppressions(self.ctx, email, by=self.staff)
        else:
            suppressions.lift_suppressions(self.ctx, email, by=self.staff)
        self.model.suppressed[mailbox] = kept

    @rule(
        number=who,
        basis=st.sampled_from([Basis.CONSENT, Basis.CUSTOMER, Basis.CONTRACT]),
        about=topic,
        days=st.sampled_from([None, 30, -1]),
    )
    def import_again(self, number: int, basis: Basis, about: int, days: int | None) -> None:
        """An import raises nothing for somebody who left, and never a topic that they know. -1: it is over by now."""
        if number in self.erased:
            return
        now = utc_now()
        end = None if days is None else now + timedelta(days=days)
        with self.ctx.write() as session:
            contact = self.contact(session, number)
            lock_imported(session, [self.addresses[number]])
            person = Imported(
                contact.id, contact.ledger_id, self.addresses[number], self.email_hash(session, number),
                is_new=False, is_new_address=False,
            )  # fmt: skip
            terms = ImportTerms(basis, "file", (self.topics[about],), end)
            record_imported(session, [person], terms, now)
        self.model_import(number, basis, about, end, now)
        self.undo = None

    def model_import(self, number: int, basis: Basis, about: int, end: datetime | None, now: datetime) -> None:
        one, sharing = self.model.people[number], self.model.sharing(number)
        is_suppressed = any(scope is None for _, scope in self.model.suppressed.get(one.mailbox, set()))
        if is_suppressed or any(other.permission == "withdrawn" for other in sharing):
            return
        word = {Basis.CONSENT: "consent", Basis.CUSTOMER: "customer"}.get(basis, "none")
        rank = ["none", "business", "customer", "consent"]
        held = one.permission if one.runs_out is None or one.runs_out > now else "none"
        if rank.index(word) > rank.index(held):
            one.permission, one.runs_out = word, end
        if about not in one.status and all(other.status.get(about) != "unsubscribed" for other in sharing):
            one.status[about] = "subscribed"

    @rule()
    def expire(self) -> None:
        now = utc_now()
        due = sum(
            person.runs_out is not None and person.runs_out <= now and person.permission not in ("none", "withdrawn")
            for person in self.model.people
        )
        assert expire_due(self.ctx) == due
        assert expire_due(self.ctx) == 0
        for person in self.model.people:
            if person.runs_out is not None and person.runs_out <= now:
                person.permission = "none"
        self.undo = None

    @rule(number=who, is_marked=st.booleans())
    def mark(self, number: int, is_marked: bool) -> None:
        if number in self.erased:
            return
        with self.ctx.write() as session:
            self.contact(session, number).do_not_mail = is_marked
        self.model.people[number].do_not_mail = is_marked

    # -------------------------------------------------------------- sending

    @rule(about=topic)
    def override(self, about: int) -> None:
        """Staff name everybody who lacks a permission; nobody who said no can be named."""
        with self.ctx.write() as session:
            people = select(Contact.id, Contact.address_id).where(Contact.id.in_(self.contacts))
            campaign = self.campaign(session, about)
            try:
                overrides.request_override(
                    session, campaign.id, self.topics[about], people, reason="must know", by=self.staff
                )
            except InputError:
                named: set[int] = set()
            else:
                ids = session.scalars(select(ConsentOverridePerson.contact_id)).all()
                named = {self.contacts.index(one) for one in ids}
            living = [number for number in range(PEOPLE) if number not in self.erased]
            expected = {number for number in living if not self.model.has_said_no(number, about)}
            assert named == expected
        self.model.overridden[about] = named
        self.send(about)
        self.model.overridden.pop(about)
        with self.ctx.write() as session:
            session.execute(delete(ConsentOverridePerson))
            session.execute(delete(ConsentOverride))

    @rule(about=topic, late=st.none() | who)
    def deliver(self, about: int, late: int | None) -> None:
        """Audience, then perhaps somebody leaves, then the gate."""
        self.send(about, late=late)

    def campaign(self, session: Session, about: int) -> Campaign:
        found = session.scalars(
            select(Campaign).where(Campaign.topic_id == self.topics[about], Campaign.status == "draft")
        ).first()
        if found is None:
            now = utc_now()
            found = Campaign(name="C", topic_id=self.topics[about], created_at=now, updated_at=now)
            session.add(found)
            session.flush()
            session.add(CampaignSegment(campaign_id=found.id, segment_id=self.segment, mode="include"))
            session.flush()
        return found

    def send(self, about: int, *, late: int | None = None) -> None:
        now = utc_now()
        with self.ctx.write() as session:
            campaign = self.campaign(session, about)
            rows = session.execute(audience.audience_select(session, campaign, now.date(), now)).all()
            self.check_audience(about, rows, now)
            campaign.status = "finished"
            everybody = [self.contact(session, number) for number in range(PEOPLE)]
            topic_row = session.get_one(Topic, self.topics[about])
            sending = make_sending(session, self.ctx, everybody, topic_row)
            overrides.bind_override(session, campaign.id, self.topics[about], sending.id)
        if late is not None and late not in self.erased:
            preferences.unsubscribe_by_link(self.ctx, self.token(late, None), channel="page", everything=True)
            self.model.withdraw(late)
            self.undo = None
        self.check_gate(about, sending.id)

    def check_audience(self, about: int, rows: Any, now: datetime) -> None:
        """The one that is chosen of each mailbox is the first that nothing forbids before `duplicate`."""
        chosen = {self.contacts.index(row.id) for row in rows if row.reason is None}
        expected = set()
        for mailbox in {person.mailbox for person in self.model.people}:
            unmarked = [number for number in self.model.at(mailbox) if not self.model.people[number].do_not_mail]
            if unmarked and self.model.may_send(unmarked[0], about, now):
                expected.add(unmarked[0])
        assert chosen == expected

    def check_gate(self, about: int, sending_id: int) -> None:
        with self.ctx.write() as session:
            claim = claim_batch(session, sending_id, self.ctx.clock.now())
            assert claim is not None
            messages = session.scalars(select(Message).where(Message.sending_id == sending_id)).all()
            candidates = [
                Candidate(one.id, claim.batch_id, claim.token, sending_id, one.address_id) for one in messages
            ]
            persons = {one.id: self.contacts.index(one.contact_id or 0) for one in messages}
        with self.ctx.write() as session:
            result = pass_gate(session, candidates)
        passed = {persons[number] for number in result.passed}
        now = utc_now()
        assert passed == {number for number in range(PEOPLE) if self.model.may_send(number, about, now)}
        assert set(result.skipped) | set(result.passed) == set(persons)
        with self.ctx.write() as session:
            session.execute(update(Sending).where(Sending.id == sending_id).values(state="finished"))

    @invariant()
    def check_tables(self) -> None:
        """The tables are what the model says."""
        if not hasattr(self, "model"):
            return
        with self.ctx.read() as session:
            for number, person in enumerate(self.model.people):
                if number in self.erased:
                    continue
                held = {
                    choice.topic_id: choice.status.value
                    for choice in queries.list_choices(session, self.contacts[number])
                }
                says = {self.topics[about]: status for about, status in person.status.items()}
                assert {key: held[key] for key in says} == says
                assert queries.get_permission(session, self.contacts[number]).value == person.permission


@pytest.fixture
def next_run(make_ctx: Callable[..., Context]) -> Callable[[], tuple[Context, int]]:
    """One database for every run; each has people of its own, because the ledger is never emptied."""
    ctx, numbers = make_ctx(), itertools.count(1)
    with ctx.write() as session:
        make_workspace(session)
    return lambda: (ctx, next(numbers))


def test_nobody_is_mailed_whom_the_model_forbids(next_run: Callable[[], tuple[Context, int]]) -> None:
    machine = type("Machine", (ConsentMachine,), {"make": staticmethod(next_run)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS, stateful_step_count=STEPS, deadline=None, database=None, report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
