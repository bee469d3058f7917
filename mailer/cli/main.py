"""The program `mailer`."""

import logging

import click

from mailer.cli import (
    bounces,
    campaigns,
    catcher,
    consent,
    contacts,
    domains,
    followups,
    forms,
    messages,
    privacy,
    running,
    segment_history,
    tracking,
    transports,
    users,
)
from mailer.log import write_lines

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
def main() -> None:
    """Email marketing where each recipient is a ledger row: exactly once or known.

    \b
    First steps:
      mailer demo                 watch both stories play, then look around
      mailer up                   start everything on this machine
      mailer doctor               what is wrong with this installation, and how to mend it

    Exit codes: 0 done, 1 failed, 2 usage, 3 refused because of the state.
    """
    write_lines(logging.WARNING, as_json=False)


for command in (
    running.demo, running.up, running.run, running.doctor, running.version, users.users, contacts.contacts,
    contacts.activities, segment_history.segments, campaigns.campaigns, messages.messages, followups.followups,
    forms.forms, consent.consent, consent.topics, consent.senders, domains.domains, consent.suppressions,
    transports.transports, consent.stop_all, catcher.catcher, bounces.bounces, bounces.webhooks,
    privacy.privacy, tracking.tracking, tracking.link_webhooks,
):  # fmt: skip
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="mailer")
