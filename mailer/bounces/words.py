"""Words for what came back beside the reasons of a refusal: a closed list (docs/reference/vocabulary.md). Pure."""

from enum import StrEnum


class Kind(StrEnum):
    """What a mail or event is that is no refusal, or whose refusal nobody gave a reason for."""

    FEEDBACK_ABUSE = "feedback_abuse"
    FEEDBACK_OPT_OUT = "feedback_opt_out"
    FEEDBACK_NOT_SPAM = "feedback_not_spam"
    UNSUBSCRIBE_MAIL = "unsubscribe_mail"
    PROVIDER_UNSUBSCRIBE = "provider_unsubscribe"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto_reply"
    RECEIPT = "receipt"
    DOMAIN_REPORT = "domain_report"
    OTHER_MAIL = "other_mail"
    TAUGHT = "taught"
    UNREADABLE = "unreadable"
