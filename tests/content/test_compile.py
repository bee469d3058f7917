"""MJML with Jinja in it compiles whole, or says by line and column why not."""

import re
import tracemalloc

import pytest

from mailer.content.compile import compile_mjml
from mailer.content.render import Renderer
from mailer.errors import InputError

SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"

ROWS = "{% for r in rows %}<tr><td>{{ r }}</td></tr>{% endfor %}"


def mjml(body: str, head: str = "") -> str:
    return f"<mjml>\n<mj-head>{head}</mj-head>\n<mj-body>\n{body}\n</mj-body></mjml>"


def shown(source: str, **context: object) -> str:
    return Renderer(compile_mjml(source), "", "").html(context)


CASES = {
    "text": (SECTION.format("{{ x|default('f') }}"), "f"),
    "double quotes": (SECTION.format('{{ x|default("f<g") }}'), "f&lt;g"),
    "less than": (SECTION.format("{% if n < 5 %}few{% endif %}"), "few"),
    "greater": (SECTION.format("{% if n > 2 and n <= 3 %}few{% endif %}"), "few"),
    "href": (SECTION.format('<a href="{{ url }}">a</a>'), r'href="https://example.com/\?a=1&amp;b=2"'),
    "single quoted": (SECTION.format("<a href='{{ url }}'>a</a>"), r'href="https://example.com/\?a=1&amp;b=2"'),
    "filter in href": (
        SECTION.format("<a href=\"https://example.com/{{ x|default('a b')|urlencode }}\">a</a>"),
        "/a%20b",
    ),
    "color": (
        '<mj-section><mj-column><mj-text color="{{ color }}">a</mj-text></mj-column></mj-section>',
        "color:#123456",
    ),
    "style": (SECTION.format('<span style="color: {{ color }}">a</span>'), "#123456"),
    "condition in attribute": (
        SECTION.format('<a href="https://example.com/{% if n %}yes{% endif %}">a</a>'),
        "example.com/yes",
    ),
    "loop in table": (
        f"<mj-section><mj-column><mj-table>{ROWS}</mj-table></mj-column></mj-section>",
        r"<tr><td[^>]*>one</td></tr><tr><td[^>]*>two</td></tr>",
    ),
    "title": (SECTION.format("a"), "<title>T 3</title>"),
    "comment": (SECTION.format("a{# <b> never shown #}b"), "ab"),
    "literal braces": (SECTION.format("&#123;&#123; x &#125;&#125;"), r"\{ \{ x"),
}


@pytest.mark.parametrize("case", CASES)
def test_tokens_survive_compiling(case):
    source, expected = CASES[case]
    source = mjml(source, "<mj-title>T {{ n }}</mj-title>")

    out = shown(source, n=3, url="https://example.com/?a=1&b=2", color="#123456", rows=["one", "two"])

    assert re.search(expected, out)


@pytest.mark.parametrize("value", [True, False])
def test_conditions_between_components_cut_whole_components(value):
    body = (
        "{% if x %}"
        + SECTION.format("first")
        + "{% endif %}"
        + (
            "<mj-section>{% if x %}<mj-column><mj-text>lefthand</mj-text></mj-column>{% endif %}<mj-column>"
            "{% if x %}<mj-text>upper</mj-text>{% endif %}<mj-text>lower</mj-text></mj-column></mj-section>"
        )
    )

    out = shown(mjml(body), x=value)

    assert [word in out for word in ("first", "lefthand", "upper", "lower")] == [value, value, value, True]
    assert out.count("<table") == out.count("</table>")
    assert out.count("<div") == out.count("</div>")
    assert out.count("<!--[if") == out.count("<![endif]")


def test_doctype_dark_mode_and_outlook_comments_stay():
    head = "<mj-style>@media (prefers-color-scheme: dark) { .a { color: #fff !important } }</mj-style>"

    out = compile_mjml(mjml(SECTION.format("a"), head))

    assert out.startswith("<!DOCTYPE html>")
    assert "prefers-color-scheme" in out
    assert "!important" in out
    assert "<!--[if mso | IE]>" in out


def test_inline_styles_are_inlined():
    out = compile_mjml(mjml(SECTION.format('<b class="k">a</b>'), "<mj-style>.k { color: #abcdef }</mj-style>"))

    assert re.search(r'<b class="k" style="color:\s*#abcdef', out)


def test_nothing_is_fetched_from_outside():
    out = compile_mjml(mjml(SECTION.format("a")))

    assert "fonts.googleapis.com" not in out
    assert not re.search(r"(?:src|href)=.http", out)


BROKEN = [
    (SECTION.format("<p>a<p>b"), "line 4", "closes nothing"),
    ("<mj-section><mj-column><mj-text>a</mj-column></mj-section>", "line 4, column 34", "still open"),
    (SECTION.format("a")[:-13], "line", "open"),
    ("\n<mj-sektion></mj-sektion>", "line 5, column 1", "no MJML tag <mj-sektion>"),
    (SECTION.format("<script>alert(1)</script>"), "line 4", "<script>"),
    (SECTION.format('<img src="x" onerror="alert(1)">'), "line 4", "onerror"),
    (SECTION.format('<a href="javascript:alert(1)">a</a>'), "line 4", "javascript:"),
    (SECTION.format('<a href="java&#x09;script:alert(1)">a</a>'), "line 4", "not allowed"),
    (SECTION.format('<a href="vbscript:x">a</a>'), "line 4", "not allowed"),
    (SECTION.format('<a href="data:text/html,x">a</a>'), "line 4", "not allowed"),
    (SECTION.format('<form action="https://example.com/"></form>'), "line 4", "<form>"),
    (SECTION.format('<meta http-equiv="refresh" content="0;url=//x">'), "line 4", "<meta>"),
    (SECTION.format('<base href="https://example.com/">'), "line 4", "<base>"),
    (SECTION.format("<!--><script>alert(1)</script>-->"), "line 4", "<script>"),
    (SECTION.format("<iframe></iframe>"), "line 4", "<iframe>"),
    (SECTION.format("<svg></svg>"), "line 4", "<svg>"),
    ('<mj-include path="/etc/passwd" />', "line 4, column 1", "stored blocks"),
    ('<mj-include path="/etc/passwd" type="css" />', "line 4, column 1", "stored blocks"),
    (
        '<mj-section><mj-column width="{{ w }}px"><mj-text>a</mj-text></mj-column></mj-section>',
        "line 4",
        "does not survive",
    ),
    (SECTION.format("{% if a %}x"), "line 4", "end of template"),
    (SECTION.format("{{ a"), "line 4", "unexpected"),
    (SECTION.format("{% raw %}{{ a }}{% endraw %}"), "line 4", "raw"),
]


@pytest.mark.parametrize(("body", "where", "what"), BROKEN, ids=range(len(BROKEN)))
def test_broken_design_says_where_and_what(body, where, what):
    with pytest.raises(InputError) as caught:
        compile_mjml(mjml(body))

    problem = caught.value.problems[0]
    assert where in problem.where
    assert what in problem.what


def test_css_import_is_refused():
    with pytest.raises(InputError, match="@import"):
        compile_mjml(mjml(SECTION.format("a"), "<mj-style>@import url(https://example.com/a.css);</mj-style>"))


def test_deep_nesting_is_refused_before_it_crashes_the_compiler():
    with pytest.raises(InputError, match="nested more than 100"):
        compile_mjml(mjml(SECTION.format("<div>" * 10_000 + "</div>" * 10_000)))


def test_huge_design_is_refused():
    with pytest.raises(InputError, match="characters"):
        compile_mjml(mjml(SECTION.format("a" * 300_000)))


def test_stored_block_is_included():
    out = compile_mjml(mjml('<mj-include path="footer" />'), blocks={"footer": SECTION.format("from the block")})

    assert "from the block" in out


def test_positions_count_tokens_as_they_were_written():
    body = "{{ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa }}{# two\nlines #}<mj-nope />"

    with pytest.raises(InputError) as caught:
        compile_mjml(mjml(body))

    assert caught.value.problems[0].where.startswith("line 5, column")


def test_a_design_of_50_mb_is_refused_without_being_worked_on() -> None:
    source = mjml(SECTION.format("word " * 10_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="at most 200,000 are allowed"):
            compile_mjml(source)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
