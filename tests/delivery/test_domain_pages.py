"""Pages and commands of sending domains, against a real name server on loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.context import Context
from mailer.delivery import domain_queries, domain_service
from mailer.schema.transports import DkimKey, SendingDomain
from mailer.statuses import Role
from tests.support.client import make_client, sign_in
from tests.support.dns_server import DnsServer, run_dns_server
from tests.support.domain import publish
from tests.support.make import make_staff, make_workspace
from tests.support.shell import Shell
from tests.support.story import PASSWORD, _hashed


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with run_dns_server() as server:
        yield server


@pytest.fixture
def ctx(make_ctx: Callable[..., Context], dns: DnsServer) -> Context:
    made = make_ctx(dns_servers=dns.address, bounce_domain="bounce.example.com")
    with made.write() as session:
        make_workspace(session)
        for name, role in (("ada", Role.ADMIN), ("mia", Role.MARKETER)):
            make_staff(
                session, email=f"{name}@example.com", role=role, password_hash=_hashed(), must_change_password=False
            )
    return made


@pytest.fixture
def client(ctx: Context) -> FlaskClient:
    return make_client(ctx)


def the_domain(ctx: Context) -> SendingDomain:
    with ctx.read() as session:
        return session.scalars(select(SendingDomain)).one()


def the_keys(ctx: Context) -> list[DkimKey]:
    with ctx.read() as session:
        return list(session.scalars(select(DkimKey).order_by(DkimKey.id)))


def test_a_domain_goes_from_empty_page_to_green_lights(client: FlaskClient, ctx: Context, dns: DnsServer) -> None:
    token = sign_in(client)
    assert "No sending domain yet" in client.get("/domains").text

    added = client.post("/domains", data={"csrf_token": token, "domain": "Example.com", "ed25519": "1"})
    page = client.get(added.location).text
    for key in the_keys(ctx):
        assert f"{key.selector}._domainkey.example.com" in page
        assert key.public_key in page.replace("&#43;", "+")
    assert "Not checked yet" in page

    publish(ctx, dns, the_domain(ctx))
    dns.put("bounce.example.com", "MX", "10 mx.example.com.")
    client.post(f"{added.location}/check", data={"csrf_token": token})

    assert "Checked: everything is as it should be." in client.get("/domains").text
    page = client.get(added.location).text
    assert "To mend" not in page
    assert page.count("Signs mails") == 2


def test_keys_are_made_used_and_retired_from_the_page(client: FlaskClient, ctx: Context, dns: DnsServer) -> None:
    token = sign_in(client)
    row = domain_service.create_domain(ctx, "example.com")
    publish(ctx, dns, row)
    domain_service.check_now(ctx, row.id)
    address = f"/domains/{row.public_id}"
    form = {"csrf_token": token}

    client.post(f"{address}/keys", data=form | {"algorithm": "rsa"})
    old, new = the_keys(ctx)
    assert "Waits for its record" in client.get(address).text
    refused = client.post(f"{address}/keys/{new.selector}/activate", data=form)
    assert refused.status_code == 409
    publish(ctx, dns, row)
    client.post(f"{address}/check", data=form)
    assert "Published, not in use" in client.get(address).text
    client.post(f"{address}/keys/{new.selector}/activate", data=form)
    client.post(f"{address}/keys/{old.selector}/retire", data=form)

    (left,) = the_keys(ctx)
    assert (left.selector, left.is_active) == (new.selector, True)
    client.post(f"{address}/delete", data=form)
    assert the_keys(ctx) == []
    assert "No sending domain yet" in client.get("/domains").text


def test_what_is_no_domain_comes_back_with_what_was_typed(client: FlaskClient) -> None:
    token = sign_in(client)

    answer = client.post("/domains", data={"csrf_token": token, "domain": "gmail.com"})

    assert answer.status_code == 400
    assert 'value="gmail.com"' in answer.text
    assert "mailbox provider" in answer.text


def test_a_marketer_looks_and_checks_but_changes_nothing(client: FlaskClient, ctx: Context) -> None:
    row = domain_service.create_domain(ctx, "example.com")
    token = sign_in(client, "mia@example.com", PASSWORD)
    address = f"/domains/{row.public_id}"

    page = client.get(address).text
    assert "Retire" not in page
    assert client.post(f"{address}/check", data={"csrf_token": token}).status_code == 303
    for path in ("keys", "delete", f"keys/{the_keys(ctx)[0].selector}/retire"):
        assert client.post(f"{address}/{path}", data={"csrf_token": token}).status_code == 403
    assert client.get("/domains/new").status_code == 403


def test_no_page_shows_a_private_key(client: FlaskClient, ctx: Context) -> None:
    row = domain_service.create_domain(ctx, "example.com")
    sign_in(client)

    page = client.get(f"/domains/{row.public_id}").text

    assert "PRIVATE" not in page
    assert the_keys(ctx)[0].private_key.hex() not in page


def test_the_commands_tell_the_same_story(tmp_path: Path, dns: DnsServer) -> None:
    settings = {
        "dns_servers": dns.address,
        "bounce_domain": "bounce.example.com",
        "public_url": "http://127.0.0.1:8000",
    }
    shell = Shell(tmp_path / "data", settings)

    added = shell.json("domains", "add", "example.com")
    for record in added["records"]:
        dns.put(record["name"], record["type"], record["value"])
    lights = {line["kind"]: line["light"] for line in shell.lines("domains", "check", "example.com")}

    assert lights == {"dkim": "ok", "spf": "ok", "dmarc": "ok", "mx": "fail", "bounce_mx": "fail", "alignment": "ok"}
    (line,) = shell.lines("domains", "list")
    assert (line["domain"], line["light"], line["keys"]) == ("example.com", "fail", 1)
    new = shell.json("domains", "key", "example.com", "--algorithm", "ed25519")
    shell.run("domains", "activate", "example.com", new["selector"], code=3)
    shell.run("domains", "retire", "example.com", new["selector"])
    assert [key["active"] for key in shell.json("domains", "show", "example.com")["keys"]] == [True]
    assert "records:" in shell.run("domains", "show", "example.com").stdout
    shell.run("domains", "add", "gmail.com", code=2)
    shell.run("domains", "show", "example.net", code=1)


def test_the_list_names_the_worst_of_each_domain(ctx: Context) -> None:
    row = domain_service.create_domain(ctx, "example.com")
    domain_service.check_now(ctx, row.id)

    with ctx.read() as session:
        (line,) = domain_queries.list_domains(session)

    assert line.light == "fail"
    assert {check.light for check in line.worst} == {"fail"}
