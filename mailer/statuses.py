"""Every closed list of words, as docs/reference/states.md has them. Values are stored; never rename one."""

from enum import StrEnum


class Role(StrEnum):
    """What a member of staff may do (docs/reference/rights.md)."""

    MARKETER = "marketer"
    APPROVER = "approver"
    SALES = "sales"
    OPS = "ops"
    ADMIN = "admin"


class SendingState(StrEnum):
    """States of a campaign and of its sending."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PREPARING = "preparing"
    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    MISSED = "missed"


class HoldReason(StrEnum):
    """Why a running sending is held; a held sending shows status `paused`."""

    USER = "user"
    BREAKER = "breaker"
    POLICY = "policy"
    RELAY_DOWN = "relay_down"
    AUDIENCE_CHANGED = "audience_changed"
    QUOTA = "quota"
    STOP_ALL = "stop_all"


class SendingClass(StrEnum):
    """What the gate asks of a message (DESIGN: the gate)."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"
    CONFIRMATION = "confirmation"
    TEST = "test"
    STAFF = "staff"


class MessageState(StrEnum):
    """States of one mail to one contact."""

    QUEUED = "queued"
    TRANSMITTING = "transmitting"
    ACCEPTED = "accepted"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


class BatchState(StrEnum):
    """States of a batch of messages."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"


class SkipReason(StrEnum):
    """Why a contact of the audience gets no mail; the first that applies, in this order."""

    EXCLUDED = "excluded"
    NO_ADDRESS = "no_address"
    INVALID_ADDRESS = "invalid_address"
    DO_NOT_MAIL = "do_not_mail"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"
    NO_PERMISSION = "no_permission"
    NOT_SUBSCRIBED = "not_subscribed"
    PAUSED = "paused"
    CAPPED = "capped"
    RENDER_ERROR = "render_error"


class SubscriptionStatus(StrEnum):
    """A contact and a topic."""

    PENDING = "pending"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"


class SuppressionReason(StrEnum):
    """Why an address must not be written to."""

    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCES = "soft_bounces"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"
    ERASURE = "erasure"
    PROVIDER = "provider"


class Permission(StrEnum):
    """Permission for a purpose; `none` and `withdrawn` never permit marketing."""

    CONSENT = "consent"
    CUSTOMER = "customer"
    BUSINESS = "business"
    NONE = "none"
    WITHDRAWN = "withdrawn"


class Basis(StrEnum):
    """Legal basis given with an import (GDPR, article 6); only the first three permit marketing."""

    CONSENT = "consent"
    CUSTOMER = "customer"
    BUSINESS = "business"
    CONTRACT = "contract"
    LEGAL_DUTY = "legal_duty"
    VITAL = "vital"
    PUBLIC = "public"


class ConsentVerdict(StrEnum):
    """What a line of the consent ledger says."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    EXPIRED = "expired"
    PAUSED = "paused"
    RESUMED = "resumed"


class LiftAct(StrEnum):
    """What somebody does that may end a suppression."""

    STAFF = "staff"
    OWN_LINK = "own_link"
    DOUBLE_OPT_IN = "double_opt_in"
    IMPORT = "import"
    API = "api"
    OVERRIDE = "override"


class LeaveReason(StrEnum):
    """What a person who leaves may answer when asked why; nobody has to."""

    TOO_MANY = "too_many"
    NOT_RELEVANT = "not_relevant"
    NEVER_SIGNED_UP = "never_signed_up"
    OTHER_CHANNEL = "other_channel"
    OTHER = "other"


class EventKind(StrEnum):
    """Events that stand beside a message."""

    DELIVERED = "delivered"
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    DELAYED = "delayed"
    COMPLAINT = "complaint"
    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"


class HitClass(StrEnum):
    """Who fetched: a person's display, a prefetch that proves nothing, a scanner."""

    HUMAN = "human"
    PROXY = "proxy"
    MACHINE = "machine"


class BreakerState(StrEnum):
    """State of the reputation breaker."""

    OK = "ok"
    REVIEW = "review"
    THROTTLED = "throttled"
    PAUSED = "paused"
    DISABLED = "disabled"


class Verdict(StrEnum):
    """What a report says about an address."""

    HARD = "hard"
    SOFT = "soft"
    DELAYED = "delayed"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    NOT_BOUNCE = "not_bounce"
    UNDETERMINED = "undetermined"


class Blame(StrEnum):
    """Whose fault a refusal is; only `address` and `mailbox` count against a contact."""

    ADDRESS = "address"
    MAILBOX = "mailbox"
    CONTENT = "content"
    POLICY = "policy"
    SENDER = "sender"
    THROTTLE = "throttle"
    NETWORK = "network"
    UNKNOWN = "unknown"


class ProviderEvent(StrEnum):
    """What a mail provider reports of a mail or an address."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    REJECTED = "rejected"
    FAILED = "failed"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    RESUBSCRIBE = "resubscribe"
    OPEN = "open"
    CLICK = "click"
    NOT_BOUNCE = "not_bounce"
    UNKNOWN = "unknown"


class Provider(StrEnum):
    """A mail provider whose calls we read."""

    SES = "ses"
    SENDGRID = "sendgrid"
    MAILGUN = "mailgun"
    POSTMARK = "postmark"
    SPARKPOST = "sparkpost"
    BREVO = "brevo"
    MAILJET = "mailjet"
    MANDRILL = "mandrill"
    MAILERSEND = "mailersend"
    RESEND = "resend"


class SegmentKind(StrEnum):
    """How the members of a segment are found."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    COMBINED = "combined"


class SegmentOperation(StrEnum):
    """Set operation of a combined segment."""

    UNION = "union"
    INTERSECTION = "intersection"
    ONLY_FIRST = "only_first"
    ONLY_SECOND = "only_second"
    EXACTLY_ONE = "exactly_one"


class SegmentChange(StrEnum):
    """What a line of a watched segment's history says."""

    ENTERED = "entered"
    LEFT = "left"


class BulkKind(StrEnum):
    """What a bulk task does to each member of a segment."""

    FOLLOW_UPS = "follow_ups"
    SET_FIELD = "set_field"
    ADD_TAG = "add_tag"
    REMOVE_TAG = "remove_tag"
    ADD_TO_SEGMENT = "add_to_segment"
    REMOVE_FROM_SEGMENT = "remove_from_segment"
    ARCHIVE = "archive"


class BulkStatus(StrEnum):
    """State of a bulk task: it gathers its members, then runs; what it did may be undone."""

    GATHERING = "gathering"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class BulkOutcome(StrEnum):
    """What came of one contact of a bulk task; `kept`: it was changed again since, so undoing left it alone."""

    WAITING = "waiting"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    UNDONE = "undone"
    KEPT = "kept"


class FieldType(StrEnum):
    """Type of a contact field."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"
    CHOICE = "choice"
    TAGS = "tags"


class LinkResponse(StrEnum):
    """What a tracked link answers with."""

    REDIRECT = "redirect"
    CONFIRM = "confirm"
    PAGE = "page"
    FORM = "form"


class ActionKind(StrEnum):
    """What a link action does."""

    ADD_TO_SEGMENT = "add_to_segment"
    REMOVE_FROM_SEGMENT = "remove_from_segment"
    FOLLOW_UP = "follow_up"
    SET_FIELD = "set_field"
    ADD_TAG = "add_tag"
    REMOVE_TAG = "remove_tag"
    SUBSCRIBE = "subscribe"
    WEBHOOK = "webhook"


class FollowUpStatus(StrEnum):
    """State of a follow-up task."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class FollowUpKind(StrEnum):
    """What a follow-up task asks a person to do."""

    TO_DO = "to_do"
    CALL = "call"
    MEETING = "meeting"


class TaskMail(StrEnum):
    """Which mails about follow-up tasks a member of staff wants."""

    EACH = "each"
    """For each new task, within a minute, and every working morning."""
    DAILY = "daily"
    NONE = "none"


class FollowUpOutcome(StrEnum):
    """What came of a follow-up task; a task may also be done without one."""

    REACHED = "reached"
    NOT_INTERESTED = "not_interested"
    MEETING = "meeting"
    SALE = "sale"


class ImportStatus(StrEnum):
    """State of an import."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class FormState(StrEnum):
    """State of a sign-up form."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"


class SignUpStatus(StrEnum):
    """State of one sign-up through a form."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    REFUSED = "refused"


class SignUpRefusal(StrEnum):
    """Why a sign-up was not taken: at the door, by its background work, or at its confirmation."""

    HONEYPOT = "honeypot"
    TOO_QUICK = "too_quick"
    TOO_OLD = "too_old"
    REPLAYED = "replayed"
    FOREIGN_SITE = "foreign_site"
    ADDRESS_LIMIT = "address_limit"
    IP_LIMIT = "ip_limit"
    NETWORK_LIMIT = "network_limit"
    DOMAIN_LIMIT = "domain_limit"
    BREAKER = "breaker"
    MAIL_LIMIT = "mail_limit"
    SUPPRESSED = "suppressed"
    COMPLAINED = "complained"
    REPEATED = "repeated"
    UNCONFIRMED = "unconfirmed"
    FULL = "full"
    CLOSED = "closed"


class Purpose(StrEnum):
    """What a permission is for; `tracking`: opens and clicks kept with the person."""

    E_MARKETING = "e_marketing"
    TRACKING = "tracking"


class RequestKind(StrEnum):
    """What a person asks for about their own data (GDPR, articles 15 to 18, 20, 21)."""

    ACCESS = "access"
    ERASURE = "erasure"
    RECTIFICATION = "rectification"
    OBJECTION = "objection"
    PORTABILITY = "portability"
    RESTRICTION = "restriction"


class RequestStatus(StrEnum):
    """State of a person's request; refused ones say why in their answer."""

    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"


class ErasureStatus(StrEnum):
    """State of an erasure: the address is closed at its start, the rest follows."""

    RUNNING = "running"
    FINISHED = "finished"


BREAKER_STOPS = (BreakerState.PAUSED, BreakerState.DISABLED)
"""States of a breaker that hold mail; only a person ends them."""
PERMITS_MARKETING = (Permission.CONSENT, Permission.CUSTOMER, Permission.BUSINESS)
OWN_PRODUCTS_ONLY = (Permission.CUSTOMER, Permission.BUSINESS)
LIVE_MESSAGE_STATES = (MessageState.QUEUED, MessageState.TRANSMITTING)
