"""Who may open what. Every route says so with `@access(...)` or `@public`; without a word it is denied."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask, Response, abort, current_app, redirect, request, url_for
from flask_login import UserMixin, current_user
from werkzeug.wrappers import Response as BaseResponse

from mailer.statuses import Role

View = TypeVar("View", bound=Callable[..., Any])
_MARK, _UPLOAD = "mailer_access", "mailer_upload_bytes"

STAFF = tuple(Role)
MARKETING = (Role.MARKETER, Role.APPROVER)
"""Who works with campaigns, segments and designs; an admin may do everything."""
_ALWAYS_OPEN = ("accounts.change_password", "accounts.save_password", "accounts.sign_out")
OPERATIONS = (Role.OPS,)
"""Who looks after deliverability and stops everything."""


@dataclass(frozen=True)
class Access:
    """Public, or for members of staff with one of `roles`; an admin has every role."""

    is_public: bool
    roles: frozenset[Role]


@dataclass(frozen=True)
class CurrentUser(UserMixin):  # type: ignore[misc]
    """Who is signed in, as views see them. The session ends when `session_version` moves on."""

    id: int
    public_id: uuid.UUID
    email: str
    name: str
    role: Role
    timezone: str
    session_version: int
    must_change_password: bool

    def get_id(self) -> str:
        """Return what the session cookie holds."""
        return f"{self.id}.{self.session_version}"

    def has_role(self, *roles: Role) -> bool:
        """Return whether this person may do what one of `roles` may."""
        return self.role is Role.ADMIN or self.role in roles

    @property
    def shown_name(self) -> str:
        """The name, else the address."""
        return self.name or self.email


def access(*roles: Role) -> Callable[[View], View]:
    """Mark a view as one for signed-in staff with one of `roles`; without roles, for every one of them."""

    def mark(view: View) -> View:
        setattr(view, _MARK, Access(is_public=False, roles=frozenset(roles or STAFF)))
        return view

    return mark


def public(view: View) -> View:
    """Mark a view as open to everybody; it must not need or set a session."""
    setattr(view, _MARK, Access(is_public=True, roles=frozenset()))
    return view


def takes_upload(limit_bytes: int) -> Callable[[View], View]:
    """Mark a view as one that takes files up to `limit_bytes`; others take forms only (MAX_CONTENT_LENGTH)."""

    def mark(view: View) -> View:
        setattr(view, _UPLOAD, limit_bytes)
        return view

    return mark


def stated_access(view: Callable[..., Any] | None) -> Access | None:
    """Return what a view says about who may open it; None where it says nothing."""
    return getattr(view, _MARK, None)


def who() -> CurrentUser:
    """Return who is signed in; only for views that are not public."""
    return cast("CurrentUser", current_user._get_current_object())  # noqa: SLF001 - the library's documented way


def guard_routes(app: Flask) -> None:
    """Check every request against what its view states, before anything reads its body."""
    app.before_request(_check)


def _check() -> BaseResponse | Response | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None:
        return None  # no such page: the router answers
    stated = stated_access(view)
    if stated is None:
        abort(403)
    if stated.is_public:
        return None
    if not current_user.is_authenticated:
        return _ask_to_sign_in()
    user = who()
    if user.must_change_password and request.endpoint not in _ALWAYS_OPEN:
        return redirect(url_for("accounts.change_password"))
    if not user.has_role(*stated.roles):
        abort(403)
    if limit := getattr(view, _UPLOAD, None):
        request.max_content_length = limit
    return None


def _ask_to_sign_in() -> BaseResponse:
    if request.headers.get("HX-Request"):
        return Response("sign in again", status=401)
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("accounts.sign_in", next=wanted))
