"""The steps of a campaign read back what they show: values of the template, links with their actions."""

import pytest

from mailer.campaigns.views.forms import list_data_fields, list_link_forms, overlay, read_data, read_links
from mailer.errors import InputError

DESIGN = {"event": {"city": "Oslo", "place": "The Hall"}, "items": [1, 2], "intro": "Hello"}


def test_the_designs_sample_is_not_sent_where_the_campaign_speaks() -> None:
    shown = overlay(DESIGN, {"event": {"city": "Bergen"}})

    assert shown == {"event": {"city": "Bergen", "place": ""}, "items": [1, 2], "intro": "Hello"}


def test_values_come_back_as_they_were_shown() -> None:
    fields = list_data_fields(DESIGN)

    form = {field.name: field.value for field in fields}

    assert [field.path for field in fields] == ["event.city", "event.place", "items", "intro"]
    assert read_data(form, DESIGN) == DESIGN


def test_a_list_that_is_no_json_is_named() -> None:
    with pytest.raises(InputError) as caught:
        read_data({"data.items": "[1, 2"}, DESIGN)

    assert caught.value.problems[0].where == "data.items"


def test_a_link_carries_its_actions_there_and_back() -> None:
    entries = [
        {
            "match": "https://example.com/sign-up",
            "response": "confirm",
            "actions": [
                {"add_to_segment": "Participants"},
                {"follow_up": {"title": "Call", "due_working_days": 3, "owner": "kari@example.com"}},
            ],
        }
    ]
    (form,) = list_link_forms(["https://example.com/sign-up"] * 2, ["Sign up", "again"], entries)

    typed = {
        "link.0.url": form.url, "link.0.response": form.response, "link.0.segment": form.segment,
        "link.0.task": form.task, "link.0.days": str(form.task_days), "link.0.owner": form.task_owner,
    }  # fmt: skip

    assert read_links(typed, entries) == entries


def test_what_the_form_does_not_show_of_a_link_is_kept() -> None:
    entries = [
        {"match": "https://example.com/a", "actions": [{"remove_from_segment": "Asleep"}]},
        {"match": "https://example.com/not-in-this-design", "actions": [{"add_to_segment": "X"}]},
    ]

    links = read_links({"link.0.url": "https://example.com/a", "link.0.segment": "", "link.0.task": ""}, entries)

    assert {link["match"]: link["actions"] for link in links} == {
        "https://example.com/a": [{"remove_from_segment": "Asleep"}],
        "https://example.com/not-in-this-design": [{"add_to_segment": "X"}],
    }
