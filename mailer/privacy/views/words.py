"""What the pages of privacy call things."""

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

KIND_WORDS: dict[str, LazyString] = {
    "access": _("Access: what do you keep about me?"),
    "erasure": _("Erasure: delete it"),
    "rectification": _("Rectification: correct it"),
    "objection": _("Objection: stop using it"),
    "portability": _("Portability: give it to me for elsewhere"),
    "restriction": _("Restriction: keep it, but do not use it"),
}
CHANNEL_WORDS: dict[str, LazyString] = {
    "mail": _("Mail"),
    "phone": _("Phone"),
    "letter": _("Letter"),
    "meeting": _("Said in a meeting"),
    "page": _("A page of ours"),
}
STEP_WORDS: dict[str, LazyString] = {
    "rows": _("Tasks, activities, tags, memberships, sign-ups"),
    "messages": _("Mails and what came back"),
    "texts": _("Notes and rules of others that name the person"),
    "files": _("Tracking spool, caught mails, uploads, logs"),
    "redis": _("Redis"),
    "compact": _("The database's files"),
}
LIMIT_WORDS: dict[str, tuple[LazyString, LazyString]] = {
    "keep_ip_days": (_("Full IP addresses"), _("are cut to their network")),
    "keep_hits_days": (_("Single opens and clicks with their program"), _("go")),
    "keep_reports_days": (_("Raw bounce mails"), _("go; verdicts stay")),
    "keep_mails_months": (_("Mails and what happened with them"), _("go; the figures of reports stay")),
    "keep_files_days": (_("Uploaded files and refused rows"), _("go")),
    "keep_evidence_years": (_("Evidence of a permission, after its withdrawal"), _("goes; the ledger stays")),
    "keep_audit_years": (_("What staff did"), _("goes")),
}
TABLE_WORDS: dict[str, LazyString] = {
    "contact": _("Contact: name and fields"),
    "address": _("Address"),
    "contact_tag": _("Tags"),
    "activity": _("Activities"),
    "engagement": _("Last open and click"),
    "follow_up": _("Follow-up tasks"),
    "action_run": _("Actions of clicks"),
    "consent": _("Permission"),
    "subscription": _("Subscriptions"),
    "consent_event": _("Lines of the consent ledger"),
    "consent_evidence": _("Evidence of consent"),
    "leave_answer": _("Reasons for leaving"),
    "consent_override_person": _("Mails by special leave"),
    "suppression": _("Suppressions"),
    "sign_up": _("Sign-ups"),
    "sign_up_address": _("Confirmation mails, counted"),
    "message": _("Mails"),
    "event": _("Events of mails"),
    "hit": _("Single opens and clicks"),
    "bounce_report": _("Bounce reports"),
    "segment_member": _("Lists"),
    "segment_watch_member": _("Watched segments"),
    "segment_event": _("History of segments"),
    "bulk_member": _("Bulk tasks"),
    "subject_request": _("Requests"),
    "audit_event": _("Audit"),
    "spool": _("Records of the tracking spool"),
    "catcher": _("Mails in the catcher"),
    "uploads": _("Uploaded files"),
    "refused rows": _("Files of refused rows"),
    "logs": _("Logs"),
    "redis": _("Keys in Redis"),
}
"""What staff see of a table; an export speaks to the person instead (register.py)."""
