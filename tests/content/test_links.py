"""Links are numbered once a target; data of the campaign makes one literal, data of a contact leaves it untracked."""

import pytest

from mailer.content.links import add_pixel, fill_links, number_links
from mailer.content.render import Renderer


def test_literal_links_are_numbered_in_order():
    found = number_links(
        "<a href=\"https://example.com/a?x=1&amp;y=2\">One <b>two</b></a> <a href='http://example.com/b'>B</a>"
    )

    assert [(link.url, link.label) for link in found.links] == [
        ("https://example.com/a?x=1&y=2", "One two"),
        ("http://example.com/b", "B"),
    ]
    assert found.html == '<a href="{{ links[0] }}">One <b>two</b></a> <a href="{{ links[1] }}">B</a>'


def test_same_target_has_one_number():
    found = number_links('<a href="https://example.com/">a</a><a href="https://example.com/">b</a>')

    assert len(found.links) == 1
    assert found.html.count("links[0]") == 2


@pytest.mark.parametrize(
    "href",
    [
        "{{ unsubscribe_url }}",
        "{{ view_url }}",
        "{{preferences_url}}",
        "mailto:a@example.com",
        "tel:+47",
        "#top",
        "{{ sender.privacy_url }}",
    ],
)
def test_special_and_other_links_are_left_alone(href):
    source = f'<a href="{href}">a</a>'

    found = number_links(source)

    assert (found.html, found.links, found.untracked) == (source, [], [])


@pytest.mark.parametrize(
    "href", ["https://example.com/{{ contact.external_id }}", "https://{{ contact.host }}/", "{{ contact.site }}"]
)
def test_link_with_contact_data_is_reported_and_not_tracked(href):
    source = f'<a href="{href}">a</a>'

    found = number_links(source)

    assert (found.html, found.links, found.untracked) == (source, [], [href])


def test_links_in_outlook_comments_are_numbered_too():
    found = number_links(
        '<!--[if mso]><a href="https://example.com/">x</a><![endif]--><a href="https://example.com/">x</a>'
    )

    assert found.html.count("links[0]") == 2


def test_tracked_address_is_escaped_in_html():
    html = number_links('<a href="https://example.com/">x</a>').html

    assert 'href="https://t.example.com/?a=1&amp;b=2"' in Renderer(html, "", "").html(
        {"links": ["https://t.example.com/?a=1&b=2"]}
    )


def test_campaign_data_makes_a_link_literal():
    source = (
        '<mj-button href="{{ event.url }}">{{ event.city }}</mj-button>'
        '<a href="https://example.com/{{ event.city|urlencode }}">x</a>'
    )

    filled = fill_links(source, {"event": {"url": "https://example.com/?a=1&b=2", "city": "Å"}})

    assert 'href="https://example.com/?a=1&amp;b=2">{{ event.city }}<' in filled
    assert 'href="https://example.com/%C3%85"' in filled


def test_fall_back_makes_a_link_literal():
    source = "<a href=\"{{ event.url | default('https://example.com/sign-up') }}\">x</a>"

    assert fill_links(source, {}) == '<a href="https://example.com/sign-up">x</a>'


@pytest.mark.parametrize(
    "source",
    [
        "<a href=\"{{ contact.url | default('https://example.com/') }}\">x</a>",
        '{% for a in items %}<a href="{{ a.url }}">x</a>{% endfor %}',
        '<a href="{{ event.url }}">x</a>',
        '<a href="{{ unsubscribe_url }}">x</a>',
        '<p title="{{ event.city }}">x</p>',
    ],
)
def test_other_values_stay_as_they_are(source):
    assert (
        fill_links(source, {"event": {"city": "Oslo"}, "items": [], "a": {"url": "https://example.com/wrong"}})
        == source
    )


def test_pixel_is_shown_only_with_an_address():
    renderer = Renderer(add_pixel("<html><body>a</body></html>"), "", "")

    assert '<img src="https://t.example.com/o/1.gif"' in renderer.html({"pixel_url": "https://t.example.com/o/1.gif"})
    assert "<img" not in renderer.html({"pixel_url": ""})
    assert "<img" not in renderer.html({})
