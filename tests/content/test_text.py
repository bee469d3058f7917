"""The text part says what the HTML says, in the same order."""

from mailer.content.render import Renderer
from mailer.content.text import build_text


def rendered(html: str, **context: object) -> str:
    return Renderer("", build_text(html), "").text(context)


def test_links_show_their_address():
    html = '<p>Go <a href="{{ links[0] }}">there</a> or <a href="https://example.com/">https://example.com/</a></p>'

    assert (
        rendered(html, links=["https://t.example.com/c/1"])
        == "Go there: https://t.example.com/c/1 or https://example.com/\n"
    )


def test_hidden_text_and_styles_are_left_out():
    head = "<head><title>t</title><style>a{}</style></head>"
    html = f"<html>{head}<body><div style='display:none'>pre</div><p>a</p></body></html>"

    assert rendered(html) == "a\n"


def test_loop_in_a_table_keeps_its_order():
    html = "<table>{% for r in rows %}<tr><td>{{ r.a }}</td><td>{{ r.b }}</td></tr>{% endfor %}</table><p>end</p>"

    lines = rendered(html, rows=[{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]).split()

    assert lines == ["1", "2", "3", "4", "end"]


def test_condition_that_prints_nothing_leaves_no_gap():
    html = "<div>a</div><div>{% if x %}b{% endif %}</div><div>c</div>"

    assert rendered(html) == "a\nc\n"
    assert rendered(html, x=1) == "a\nb\nc\n"


def test_values_are_not_escaped_and_literal_braces_are_no_template():
    assert rendered("<p>{{ x }} &amp; &lt; &#123;&#123; y }}</p>", x="<&>") == "<&> & < { { y }}\n"


def test_picture_shows_its_alternative_text():
    assert rendered('<p><img src="https://example.com/a.png" alt="A harbor"></p>') == "A harbor\n"
