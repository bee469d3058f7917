"""Pages of segments: what was typed comes back, figures and values are answered as the editor wants them."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mailer.app import create_app
from mailer.context import Context
from mailer.segments.cost import MANY_CONTACTS
from mailer.segments.fields import FIELDS, OPERATORS
from mailer.segments.queries import get_segment
from mailer.segments.service import create_static
from mailer.segments.views.labels import field_words, operator_words
from tests.support.client import make_client, sign_in
from tests.support.make import make_contact
from tests.support.story import Story, make_story

RULE = {"version": 1, "all": [{"field": "city", "op": "equals", "value": "Oslo"}]}


@pytest.fixture
def story(ctx: Context) -> Story:
    return make_story(ctx, people=12)


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    client = make_client(ctx)
    client.token = sign_in(client)  # type: ignore[attr-defined]
    return client


def post(client: FlaskClient, path: str, **form: Any) -> TestResponse:
    """Post a form with its token."""
    return client.post(path, data={"csrf_token": client.token, **form})  # type: ignore[attr-defined]


def test_a_refused_segment_comes_back_as_it_was_typed(client: FlaskClient) -> None:
    rule = json.dumps({"version": 1, "all": [{"field": "nonsense", "op": "is", "value": 1}]})

    page = post(client, "/segments", kind="dynamic", name="Mine", description="of the spring", rule=rule)

    assert page.status_code == 400
    assert 'value="Mine"' in page.text
    assert 'value="of the spring"' in page.text
    assert "nonsense" in page.text
    assert "all[0].field" in page.text.replace("_", " ")


def test_a_refused_combination_keeps_its_operation_and_parts(client: FlaskClient, ctx: Context) -> None:
    with ctx.read() as session:
        makers = get_segment(session, "Decision makers").id

    page = post(client, "/segments", kind="combined", name="Alone", operation="exactly_one", inputs=str(makers))

    assert page.status_code == 400
    assert 'value="exactly_one" checked' in page.text
    assert f'value="{makers}" selected' in page.text


def test_the_preview_shows_sentence_number_and_sample(client: FlaskClient) -> None:
    page = post(client, "/segments/preview", rule=json.dumps(RULE))

    assert 'data-count="4"' in page.text
    assert "Oslo" in page.text
    assert page.text.count('class="face"') == 4


def test_what_is_wrong_in_the_preview_names_its_place(client: FlaskClient) -> None:
    rule = {"version": 1, "all": [{"any": [{"field": "city", "op": "equals", "value": {"a": 1}}]}]}

    assert 'data-where="all[0].any[0].value' in post(client, "/segments/preview", rule=json.dumps(rule)).text
    assert "data-count" not in post(client, "/segments/preview", rule="{").text


def test_what_a_rule_names_and_nobody_knows_is_said_quietly(client: FlaskClient) -> None:
    rule = {"version": 1, "all": [{"field": "activity", "op": "has_not", "value": {"kind": "purchaze"}}]}

    page = post(client, "/segments/preview", rule=json.dumps(rule))

    assert 'class="doubts"' in page.text
    assert "purchaze" in page.text.split('class="doubts"')[1]
    assert 'data-count="12"' in page.text


def test_choices_nobody_has_are_offered_too(client: FlaskClient) -> None:
    answer = client.get("/segments/values?field=permission").get_json()
    found = {item["value"]: item["count"] for item in answer["items"]}

    assert found["withdrawn"] == 0
    assert found["consent"] > 0
    assert [item["value"] for item in client.get("/segments/values?field=customer_class&q=b").get_json()["items"]] == [
        "B"
    ]


def test_links_are_those_of_the_chosen_campaign(client: FlaskClient, story: Story) -> None:
    answer = client.get(f"/segments/values?field=link&campaign={story.finished.id}&q=programme").get_json()
    campaigns = client.get("/segments/values?field=campaign&q=SEMINAR").get_json()["items"]

    assert [item["value"] for item in answer["items"]] == ["https://example.com/programme"]
    assert [(item["value"], item["label"]) for item in campaigns] == [(story.finished.id, "Seminar invitation")]


def test_why_follows_the_tree_of_the_rule(client: FlaskClient, story: Story) -> None:
    page = post(client, "/segments/why", rule=json.dumps(RULE), contact=str(story.contact.public_id))

    assert "is in" in page.text
    assert "Oslo" in page.text
    assert "Nobody has this address" in post(client, "/segments/why", rule=json.dumps(RULE), contact="").text


def test_a_part_that_leads_back_is_refused_while_editing(client: FlaskClient, ctx: Context) -> None:
    with ctx.read() as session:
        both, makers = get_segment(session, "Makers who take part"), get_segment(session, "Decision makers")

    page = post(client, "/segments/parts", operation="union", inputs=[str(both.id), str(makers.id)], segment=both.id)

    assert "it would go round" in page.text


def test_a_recipe_fills_the_editor(client: FlaskClient) -> None:
    page = client.get("/segments/new?recipe=Asleep")

    assert 'value="Asleep"' in page.text
    assert "at_least" in page.text or "count" in page.text


def test_every_field_and_operator_has_a_name_of_its_own(ctx: Context) -> None:
    with create_app(ctx).test_request_context():
        unnamed = [name for name in FIELDS if field_words(name)[1:] == ("",) and "_" in field_words(name)[0]]
        missing = {kind: set(ops) - set(operator_words(kind)) for kind, ops in OPERATORS.items()}

    assert unnamed == []
    assert {kind: ops for kind, ops in missing.items() if ops} == {}


def test_the_editor_offers_an_index_where_a_rule_looks_through_everybody(client: FlaskClient, ctx: Context) -> None:
    rule = json.dumps(RULE)
    assert "Make an index" not in post(client, "/segments/preview", rule=rule).text
    with ctx.write() as session:
        make_contact(session, id=MANY_CONTACTS)
    assert "Make an index" in post(client, "/segments/preview", rule=rule).text

    made = post(client, "/segments/indexes", field="city")

    assert "The index is there" in made.text
    assert "Make an index" not in post(client, "/segments/preview", rule=rule).text
    assert "no index helps" in post(client, "/segments/indexes", field="opened").text


def test_who_saves_what_somebody_else_changed_meanwhile_is_told_first(client: FlaskClient, ctx: Context) -> None:
    with ctx.read() as session:
        segment = get_segment(session, "Decision makers")
    path, rule = f"/segments/{segment.public_id}", json.dumps(RULE)
    seen = segment.updated_at.isoformat()
    post(client, path, name="Theirs", rule=rule, seen=seen)

    page = post(client, path, name="Mine", rule=rule, seen=seen)

    assert page.status_code == 400
    assert "changed by somebody else" in page.text
    assert 'value="Mine"' in page.text
    shown = page.text.partition('name="seen" value="')[2].partition('"')[0]
    assert post(client, path, name="Mine", rule=rule, seen=shown).status_code in (302, 303)
    with ctx.read() as session:
        assert get_segment(session, segment.id).name == "Mine"


def test_why_somebody_is_on_a_list_is_said_in_words(client: FlaskClient, ctx: Context, story: Story) -> None:
    made = create_static(ctx, "Those who signed up", contact_ids=[story.contact.id], cause="form:999")

    page = client.get(f"/segments/{made.public_id}/members").text

    assert "Signed up with a form" in page
    assert "form:999" not in page
