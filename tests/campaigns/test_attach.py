"""Files of campaigns: attached, frozen with the content, removed when nothing carries them."""

import io
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mailer.campaigns import attach, composing
from mailer.campaigns.gather import build_content_spec, gather_facts
from mailer.campaigns.review import review
from mailer.campaigns.spec import build_draft
from mailer.content.attachments import load_files
from mailer.content.check import Level
from mailer.content.service import freeze_content
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.campaigns import Campaign
from mailer.schema.content import Attachment
from mailer.schema.segments import Segment
from tests.support.client import make_client, sign_in
from tests.support.story import make_story


@pytest.fixture
def campaign(ctx: Context) -> Campaign:
    return composing.create_draft(ctx, "Autumn news")


def count_stored(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(Attachment)) or 0


def names_of(ctx: Context, campaign_id: int) -> list[str]:
    with ctx.read() as session:
        return [file.name for file in attach.list_files(session, campaign_id)]


def test_the_same_content_is_kept_once(ctx: Context, campaign: Campaign) -> None:
    attach.attach_file(ctx, campaign.id, "a.pdf", b"same")
    attach.attach_file(ctx, campaign.id, "b.pdf", b"same")

    assert names_of(ctx, campaign.id) == ["a.pdf", "b.pdf"]
    assert count_stored(ctx) == 1


def test_a_file_of_the_same_name_is_replaced(ctx: Context, campaign: Campaign) -> None:
    attach.attach_file(ctx, campaign.id, "a.pdf", b"old")
    attach.attach_file(ctx, campaign.id, "a.pdf", b"newer")

    with ctx.read() as session:
        assert [(file.name, file.size) for file in attach.list_files(session, campaign.id)] == [("a.pdf", 5)]
    assert count_stored(ctx) == 1


def test_a_file_is_deleted_when_nothing_carries_it_any_more(ctx: Context, campaign: Campaign) -> None:
    attach.attach_file(ctx, campaign.id, "a.pdf", b"content")
    copied = composing.duplicate_campaign(ctx, campaign.id)
    assert names_of(ctx, copied.id) == ["a.pdf"]

    attach.remove_file(ctx, campaign.id, "a.pdf")
    assert count_stored(ctx) == 1
    composing.delete_draft(ctx, copied.id)
    assert count_stored(ctx) == 0


def test_what_a_content_version_carries_stays(ctx: Context, campaign: Campaign) -> None:
    attach.attach_file(ctx, campaign.id, "program våren.pdf", b"content")
    composing.update_campaign(ctx, campaign.id, {"design": "plain", "subject": "News"})
    with ctx.write() as session:
        version = freeze_content(session, ctx, build_content_spec(session, session.get_one(Campaign, campaign.id)))

    attach.remove_file(ctx, campaign.id, "program våren.pdf")

    with ctx.read() as session:
        (file,) = load_files(session, version.id)
    assert (file.name, file.media_type, file.data) == ("program våren.pdf", "application/pdf", b"content")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.pdf", b"", "empty"),
        ("", b"x", "no name"),
        ("setup.EXE", b"MZ", "program"),
        ("a.pdf", bytes(10_485_761), "10 MB"),
    ],
)
def test_what_no_mail_should_carry_is_refused(
    ctx: Context, campaign: Campaign, name: str, data: bytes, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        attach.attach_file(ctx, campaign.id, name, data)

    assert count_stored(ctx) == 0


def test_a_campaign_that_has_started_keeps_its_files(ctx: Context, campaign: Campaign) -> None:
    attach.attach_file(ctx, campaign.id, "a.pdf", b"x")
    with ctx.write() as session:
        session.get_one(Campaign, campaign.id).status = "sending"

    with pytest.raises(ConflictError):
        attach.remove_file(ctx, campaign.id, "a.pdf")
    with pytest.raises(ConflictError):
        attach.attach_file(ctx, campaign.id, "b.pdf", b"x")


def test_removing_what_is_not_there_says_so(ctx: Context, campaign: Campaign) -> None:
    with pytest.raises(NotFoundError):
        attach.remove_file(ctx, campaign.id, "a.pdf")


@pytest.mark.parametrize(("size", "level"), [(2**20, None), (2**20 + 1, Level.AMBER), (5 * 2**20 + 1, Level.RED)])
def test_large_files_warn_over_one_megabyte_and_block_over_five(
    ctx: Context, campaign: Campaign, size: int, level: Level | None
) -> None:
    attach.attach_file(ctx, campaign.id, "a.pdf", bytes(size))

    with ctx.read() as session:
        findings = review(gather_facts(session, ctx, session.get_one(Campaign, campaign.id)))

    assert [one.level for one in findings if one.code == "attachments_large"] == ([level] if level else [])


def draft_file(**more: Any) -> dict[str, Any]:
    return {"name": "News", "subject": "News", "sender": "Fjord Seminars", "topic": "Invitations", "design": "plain",
            "include": ["Everybody"], **more}  # fmt: skip


def test_a_campaign_file_names_files_beside_it(ctx: Context, tmp_path: Path) -> None:
    story = make_story(ctx, people=4)
    (tmp_path / "agenda.pdf").write_bytes(b"%PDF")
    with ctx.read() as session:
        segment = session.get_one(Segment, story.segment.id).name
    draft = build_draft(draft_file(include=[segment], attachments=["agenda.pdf"]), tmp_path)

    campaign = composing.create_campaign(ctx, draft)

    assert names_of(ctx, campaign.id) == ["agenda.pdf"]


def test_a_file_that_is_not_there_is_a_problem_with_its_number(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        build_draft(draft_file(attachments=["missing.pdf"]), tmp_path)

    assert [problem.where for problem in caught.value.problems] == ["attachments[0]"]


def build_form(token: str, name: str, data: bytes) -> tuple[bytes, str]:
    """Return a form with a file as a browser sends it (RFC 7578)."""
    head = (
        f'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    )
    return head.encode() + data + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def test_files_are_attached_and_removed_on_the_setup_page(ctx: Context) -> None:
    story = make_story(ctx, people=4)
    client = make_client(ctx)
    token = sign_in(client)
    address = f"/campaigns/{story.draft.public_id}"
    body, kind = build_form(token, "Påmelding.pdf", b"x" * 3_000_000)  # more than other forms take

    assert client.post(f"{address}/attachments", data=body, content_type=kind).status_code == 303
    page = client.get(f"{address}/setup").text
    assert "Påmelding.pdf" in page
    assert "2.9 MB" in page or "3.0 MB" in page
    refused = client.post(f"{address}/attachments", data={"csrf_token": token, "file": (io.BytesIO(b"MZ"), "a.exe")})
    assert refused.status_code == 400
    assert "refuse mails with a program" in refused.text
    assert client.post(f"{address}/attachments", data={"csrf_token": token}).status_code == 400
    client.post(f"{address}/attachments/remove", data={"csrf_token": token, "name": "Påmelding.pdf"})
    assert names_of(ctx, story.draft.id) == []
