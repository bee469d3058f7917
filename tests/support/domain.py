"""A sending domain as the pages show it: some of its records published, some not, checked against a real server."""

from mailer.context import Context
from mailer.delivery import domain_service
from mailer.delivery.dns_lookup import Lookup
from mailer.schema.transports import SendingDomain
from tests.support.dns_server import DnsServer, run_dns_server


def publish(
    ctx: Context, dns: DnsServer, row: SendingDomain, kinds: tuple[str, ...] = ("dkim", "spf", "dmarc")
) -> None:
    """Put up the records that the page shows, and mail exchangers."""
    with ctx.read() as session:
        for record in domain_service.list_domain_records(session, ctx, row):
            if record.kind in kinds:
                dns.put(record.name, record.type, record.value)
    dns.put(row.domain, "MX", f"10 mx.{row.domain}.")


def make_checked_domain(ctx: Context, name: str = "example.com", kinds: tuple[str, ...] = ("dkim",)) -> SendingDomain:
    """A domain whose records of `kinds` were seen."""
    row = domain_service.create_domain(ctx, name)
    with run_dns_server() as dns:
        publish(ctx, dns, row, kinds)
        domain_service.check_now(ctx, row.id, dns=Lookup(dns.address))
    return row
