"""Rendering: values are escaped, missing ones refused, and the fast bytes decode to the plain rendering."""

import html
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.content.render import Renderer, RenderError, compile_renderer

ANY = st.text(st.one_of(st.characters(), st.sampled_from("<>&\"'. =\n\r{}%ä")), max_size=90)
HTML = (
    "<p>Hello {{ contact.first_name | default('you') }}, .{{ contact.city }}.</p>\n"
    '<a href="{{ links[0] }}">{{ links[1] }}</a>{% for tag in contact.tags %}<i>{{ tag }}</i>\n{% endfor %}'
    "{% if contact.city %}{{ contact.city | upper | truncate(20) }}{% else %}none{% endif %} åäö = {{ '<b>' }} {{ 5 }}"
)
TEXT = (
    "Hello {{ contact.first_name | default('you') }}\n.{{ links[0] }}\n"
    "{% for tag in contact.tags %}* {{ tag }}\n{% endfor %}"
)


def decoded(body: bytes) -> str:
    assert max(len(line) for line in body.split(b"\r\n")) <= 76
    assert b"\n" not in body.replace(b"\r\n", b"")
    return quopri.decodestring(body).decode().replace("\r\n", "\n")


@given(name=ANY, city=ANY.filter(bool), link=ANY, tags=st.lists(ANY.filter(bool), max_size=4))
def test_quoted_bytes_decode_to_the_plain_rendering(name, city, link, tags):
    renderer = compile_renderer(HTML, TEXT, "{{ contact.first_name }}")
    context = {
        "contact": {"first_name": name, "city": city, "tags": tags},
        "links": [link, "https://example.com/?a=1&b=2"],
    }

    assert decoded(renderer.html_qp(context)) == renderer.html(context)
    assert decoded(renderer.text_qp(context)) == renderer.text(context)


@given(ANY)
def test_subject_stays_on_one_line(name):
    subject = Renderer("", "", "A {{ name }} b").subject({"name": name})

    assert len(subject.splitlines()) == 1
    assert subject.startswith("A")


def test_subject_that_looks_like_an_encoded_word_stays_text():
    name = "=?utf-8?q?x=0D=0ABcc:_evil@example.com?="

    assert Renderer("", "", "{{ name }}").subject({"name": name}) == name


@pytest.mark.parametrize(
    "filters", ["", " | upper", " | trim", " | truncate(100)", " | replace('x', 'y')", " | default('a')"]
)
def test_contact_values_are_escaped_in_html_whatever_the_filter(filters):
    value = "<SCRIPT>alert('x') & \"</SCRIPT>"

    shown = Renderer("{{ contact.name" + filters + " }}", "", "").html({"contact": {"name": value}})

    assert "<" not in shown
    assert html.unescape(shown).lower().startswith("<script>alert(")


def test_escape_filter_does_not_escape_twice():
    assert Renderer("{{ a | e }}", "", "").html({"a": "<"}) == "&lt;\n"


def test_text_part_is_not_escaped():
    assert Renderer("", "{{ a }}", "").text({"a": "Smith & Sons <x>"}) == "Smith & Sons <x>\n"


@pytest.mark.parametrize("contact", [{}, {"first_name": None}, {"first_name": ""}])
def test_missing_value_is_an_error_that_names_it(contact):
    with pytest.raises(RenderError) as caught:
        Renderer("Hello {{ contact.first_name }},", "", "").html_qp({"contact": contact})

    assert caught.value.variable == "contact.first_name"
    assert "contact.first_name is missing" in str(caught.value)


@pytest.mark.parametrize("contact", [{}, {"first_name": None}, {"first_name": ""}])
def test_default_stands_in_for_a_missing_or_empty_value(contact):
    renderer = Renderer(
        "Hello {{ contact.first_name | default('you') }}{% if contact.first_name %}!{% endif %}", "", ""
    )

    assert renderer.html({"contact": contact}) == "Hello you\n"


def test_default_reaches_through_missing_parents():
    assert Renderer("{{ event.place.name | default('here') }}", "", "").html({}) == "here\n"


def test_objects_have_no_attributes():
    class Secret:
        password = "hunter2"

    with pytest.raises(RenderError):
        Renderer("{{ secret.password }}", "", "").html({"secret": Secret()})


def test_link_data_cannot_bring_a_script():
    renderer = Renderer('<a href="{{ contact.site | web_url }}">x</a>', "", "")

    assert 'href=""' in renderer.html({"contact": {"site": " javascript:alert(1)"}})
    assert 'href="https://example.com/"' in renderer.html({"contact": {"site": "https://example.com/"}})


def test_output_has_a_limit():
    with pytest.raises(RenderError, match="1 MB"):
        Renderer("{% for a in x %}{{ a }}{% endfor %}", "", "").html({"x": ["y" * 1000] * 2000})


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ 1234567 | number }}", "1\u202f234\u202f567"),
        ("{{ 123450 | money('EUR') }}", "1\u202f234.50 EUR"),
        ("{{ '2026-11-21' | date }}", "21 November 2026"),
        ("{{ '2026-11-21T14:05:00' | date('time') }}", "14:05"),
        ("{{ 2.5 | round }}", "3"),
        ("{{ ['a', 'b'] | join }}", "a, b"),
    ],
)
def test_filter_shows_values_as_people_write_them(source, shown):
    assert Renderer("", source, "").text({}) == shown + "\n"
