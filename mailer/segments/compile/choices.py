"""Choices, yes and no, and tags (FEATURES S8), among them owners, the address's state and what permission there is."""

from collections.abc import Callable, Sequence

from sqlalchemy import and_, case, exists, func, literal, not_, or_, select, true

from mailer.schema.accounts import Staff
from mailer.schema.contacts import Address, Company, Contact, ContactTag, Tag
from mailer.segments.compile.conditions import Condition, RuleContext, exists_one, own_text, signed
from mailer.segments.compile.consent import has_basis, has_permission
from mailer.segments.compile.texts import is_among, match_text
from mailer.segments.tree import Line


def compile_yes_no(line: Line, _context: RuleContext) -> Condition:
    """Return the condition of a yes-or-no line; a value that is missing is no."""
    if line.own_key is not None:
        condition: Condition = func.lower(func.coalesce(own_text(line.own_key), "")).in_(("true", "1"))
    elif line.field == "do_not_mail":
        condition = Contact.do_not_mail.is_(True)
    else:
        condition = exists_one(Company.id, Company.id == Contact.company_id, Company.do_not_mail.is_(True))
    return condition if line.op == "yes" else not_(condition)


def compile_choice(line: Line, context: RuleContext) -> Condition:
    """Return the condition of a choice line."""
    values = (line.value,) if isinstance(line.value, str) else line.value or ()
    op = {"equals": "is_one_of", "not_equals": "is_none_of"}.get(line.op, line.op)
    match = _own_choice if line.own_key is not None else _CHOICES[line.field]
    return signed(op, lambda positive: match(line, positive, values, context))


def _own_choice(line: Line, op: str, values: Sequence[str], context: RuleContext) -> Condition:
    return match_text(own_text(str(line.own_key)), op, values, context)


def _owner(line: Line, op: str, values: Sequence[str], _context: RuleContext) -> Condition:
    emails = Staff.email.in_([value.lower() for value in values])
    if line.field == "owner":
        if op == "is_empty":
            return Contact.owner_id.is_(None)
        return exists_one(Staff.id, Staff.id == Contact.owner_id, emails)
    own_company = Company.id == Contact.company_id
    if op == "is_empty":
        return not_(exists_one(Company.id, own_company, Company.owner_id.is_not(None)))
    return exists_one(Company.id, own_company, Staff.id == Company.owner_id, emails)


def _address_status(_line: Line, op: str, values: Sequence[str], _context: RuleContext) -> Condition:
    """The one word that says whether an address can be written to, the first that applies in the order of cases."""
    word = case(
        (Address.email.is_(None), "no_address"),
        (Address.is_valid.is_(False), "invalid_address"),
        (Address.bounce_state == "hard", "hard_bounce"),
        (Address.bounce_state == "asleep", "asleep"),
        else_="ok",
    )
    of_contact = select(word).where(Address.id == Contact.address_id).correlate(Contact).scalar_subquery()
    return func.coalesce(of_contact, "no_address").in_(("no_address",) if op == "is_empty" else values)


def _provider(_line: Line, op: str, values: Sequence[str], context: RuleContext) -> Condition:
    own = (Address.id == Contact.address_id, Address.email.is_not(None))
    if op == "is_empty":
        return not_(exists_one(Address.id, *own))
    return exists_one(Address.id, *own, or_(*is_among(Address.provider, values, context)))


_CHOICES: dict[str, Callable[[Line, str, Sequence[str], RuleContext], Condition]] = {
    "owner": _owner,
    "company.owner": _owner,
    "permission": lambda _line, op, values, context: has_permission(op, values, context),
    "basis": lambda _line, op, values, _context: has_basis(op, values),
    "email.status": _address_status,
    "email.provider": _provider,
}


def compile_tags(line: Line, context: RuleContext) -> Condition:
    """Return the condition of a line about tags, the contact's or those of an own field."""
    has = _has_tag if line.own_key is None else _has_own_tag

    def positive(op: str) -> Condition:
        if op == "is_empty":
            return not_(has(line, None, context))
        if op == "is_one_of":
            return has(line, line.value, context)
        return and_(*(has(line, (value,), context) for value in line.value))

    return signed(line.op, positive)


def _has_tag(_line: Line, values: Sequence[str] | None, context: RuleContext) -> Condition:
    join = and_(ContactTag.contact_id == Contact.id, Tag.id == ContactTag.tag_id)
    return exists_one(ContactTag.tag_id, join, true() if values is None else or_(*is_among(Tag.name, values, context)))


def _has_own_tag(line: Line, values: Sequence[str] | None, context: RuleContext) -> Condition:
    key = str(line.own_key)
    if context.is_sqlite:
        listed = func.json_each(Contact.data, f'$."{key}"').table_valued("value", name="own_tag")
    else:
        array = case((func.jsonb_typeof(Contact.data[key]) == "array", Contact.data[key]), else_=None)
        listed = func.jsonb_array_elements_text(array).table_valued("value", name="own_tag")
    condition = true() if values is None else or_(*is_among(listed.c.value, values, context))
    return exists(select(literal(1)).select_from(listed).where(condition).correlate(Contact))
