"""The steps of a campaign read back what they show: values of the template, links with their actions."""

import pytest

from mailer.campaigns.views.forms import list_data_fields, overlay, read_data
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
