"""The links of a campaign as a form: what it shows is what it reads, and what was typed is not lost."""

from typing import Any

import pytest

from mailer.campaigns.views.link_forms import LinkForm, list_link_forms, read_links
from mailer.errors import InputError

URL = "https://example.com/sign-up"
ACTIONS: list[dict[str, Any]] = [
    {"add_to_segment": "Participants"},
    {"follow_up": {"title": "Call", "due_working_days": 3, "owner": "kari@example.com", "kind": "call", "note": "ask"}},
    {"set_field": {"field": "category", "value": "hot"}},
    {"add_tag": "Interested"},
    {"remove_tag": "Cold"},
    {"subscribe": "News"},
    {"webhook": "CRM"},
    {"remove_from_segment": "Asleep"},
    {"follow_up": {"title": "Meet", "due_working_days": 2, "owner": "group:Oslo", "kind": "meeting", "minutes": 45}},
]


def typed(form: LinkForm) -> dict[str, str]:
    """What a browser sends for a link as it is shown."""
    sent = {
        f"link.{form.number}.url": form.url,
        f"link.{form.number}.response": form.response,
        f"link.{form.number}.ends_on": form.ends_on,
    }
    if form.text:
        sent[f"link.{form.number}.text"] = form.text
    if form.form:
        sent[f"link.{form.number}.form"] = form.form
    if form.is_repeated:
        sent[f"link.{form.number}.each_time"] = "1"
    for row in form.actions:
        sent[f"{row.name}.kind"] = row.kind
        sent |= {f"{row.name}.{key}": value for key, value in row.values.items()}
    return sent


def test_every_kind_of_action_is_read_as_it_is_shown() -> None:
    entries = [{"actions": ACTIONS, "match": URL, "response": "confirm", "ends_on": "2026-12-31", "each_time": True}]

    (form,) = list_link_forms([URL, URL], ["Sign up", "again"], entries)

    assert read_links(typed(form), entries) == entries


def test_a_text_is_read_as_it_is_shown_and_a_page_without_one_is_told() -> None:
    entries = [{"actions": [], "match": URL, "response": "page", "text": "See you\non Thursday"}]
    (form,) = list_link_forms([URL], ["Sign up"], entries)

    assert read_links(typed(form), []) == entries
    with pytest.raises(InputError) as caught:
        read_links({**typed(form), "link.0.text": " "}, [])
    assert [problem.where for problem in caught.value.problems] == ["link.0.text"]


def test_a_link_that_the_design_does_not_have_is_kept() -> None:
    entries = [{"match": "https://example.com/gone", "actions": [{"add_to_segment": "X"}]}]

    assert read_links({"link.0.url": URL, "link.0.response": ""}, entries) == entries


def test_an_action_marked_for_removal_goes() -> None:
    (form,) = list_link_forms([URL], ["Sign up"], [{"match": URL, "actions": ACTIONS[3:5]}])

    links = read_links({**typed(form), f"{form.actions[0].name}.remove": "1"}, [])

    assert links == [{"match": URL, "actions": [{"remove_tag": "Cold"}]}]


def test_what_a_row_lacks_is_named_and_nothing_typed_is_lost() -> None:
    blank = {
        "link.0.url": URL, "link.0.ends_on": "soon", "link.0.action.0.kind": "add_tag", "link.0.action.0.tag": " ",
        "link.0.action.1.kind": "follow_up", "link.0.action.1.title": "", "link.0.action.1.note": "written already",
    }  # fmt: skip

    with pytest.raises(InputError) as caught:
        read_links(blank, [])

    assert {problem.where for problem in caught.value.problems} == {
        "link.0.ends_on", "link.0.action.0.tag", "link.0.action.1.title",
    }  # fmt: skip
    (again,) = list_link_forms([URL], ["Sign up"], [], typed=blank)
    assert again.actions[1].values["note"] == "written already"
    assert again.ends_on == "soon"


@pytest.mark.parametrize("kind", ["", "no_such_thing", "link"])
def test_a_kind_that_there_is_not_is_refused(kind: str) -> None:
    with pytest.raises(InputError):
        read_links({"link.0.url": URL, "link.0.action.0.kind": kind}, [])


def test_a_blank_row_comes_where_it_was_asked_for() -> None:
    (form,) = list_link_forms([URL], ["Sign up"], [{"match": URL, "actions": ACTIONS[:1]}], add=(0, "subscribe"))

    assert [row.kind for row in form.actions] == ["add_to_segment", "subscribe"]


def test_length_that_was_typed_for_a_call_means_nothing_and_a_wrong_one_is_told() -> None:
    row = {"link.0.url": URL, "link.0.action.0.kind": "follow_up", "link.0.action.0.title": "Ring"}
    (link,) = read_links({**row, "link.0.action.0.task_kind": "call", "link.0.action.0.minutes": "x"}, [])
    assert "minutes" not in link["actions"][0]["follow_up"]

    for minutes in ("4", "481", "x", "²"):
        with pytest.raises(InputError) as caught:
            read_links({**row, "link.0.action.0.task_kind": "meeting", "link.0.action.0.minutes": minutes}, [])
        assert [problem.where for problem in caught.value.problems] == ["link.0.action.0.title"]


@pytest.mark.parametrize("named", [12, "Seminar in Oslo"])
def test_a_form_is_read_as_it_is_shown_and_none_is_told(named: int | str) -> None:
    entries = [{"actions": [], "match": URL, "response": "form", "form": named, "text": "It is over."}]
    (form,) = list_link_forms([URL], ["Sign up"], entries)

    assert read_links(typed(form), []) == entries
    (shown,) = list_link_forms([URL], ["Sign up"], [], typed=typed(form))
    assert (shown.form, shown.response) == (str(named), "form")
    with pytest.raises(InputError) as caught:
        read_links({**typed(form), "link.0.form": ""}, [])
    assert [problem.where for problem in caught.value.problems] == ["link.0.form"]
    (plain,) = read_links({**typed(form), "link.0.response": "page"}, [])
    assert "form" not in plain
