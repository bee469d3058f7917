"""Templates that hang, explode or reach out are refused before anything is compiled (PROOF, section 5)."""

import time

import pytest

from mailer.content.render import Renderer, RenderError
from mailer.content.safety import check_template
from mailer.errors import InputError

HOSTILE = [
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "{% set x = 10**(10**7) %}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ lipsum(1000000) }}",
    "{{ ('a'*1000000)|wordwrap(1) }}",
    "{{ 'A'*1000000000 }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '{:>1000000000}'.format('a') }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a'|indent(1000000) }}",
    "{% set ns = namespace(x='a') %}{% set ns.x = ns.x ~ ns.x %}",
    "{{ [1]|tojson(indent=100000) }}",
    "{{ 'a\t'.expandtabs(100000000) }}",
    "{{ 'a'.encode('utf-32') }}",
    "{{ 'a'.join('b') }}",
    "{{ range(1000000000) }}",
    "{{ ''.__class__ }}",
    "{{ contact.__class__ }}",
    "{{ contact['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ['x']|map('attr','format')|list }}",
    "{{ '<b>'|safe }}",
    "{% autoescape false %}{{ contact.first_name }}{% endautoescape %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'a' import b %}",
    "{% extends 'base' %}",
    "{% block a %}{% endblock %}",
    "{% filter upper %}a{% endfilter %}",
    "{% call m() %}{% endcall %}",
    "{{ cycler('a') }}",
    "{{ joiner() }}",
    "{{ self }}{{ self.__init__ }}",
    "{{ config() }}{{ env('SECRET') }}",
    "{{ 1 + 1 }}",
    "{{ -1000 }}",
    "{{ 'a' ~ 'b' }}",
    "{{ contact.tags[0:5] }}",
    "{% for a in x %}{% for b in a %}{% for c in b %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
    "{% raw %}{{ x }}{% endraw %}{{ 1|tojson }}",
    "{{ x|replace(*y) }}",
    "{{ 'a'|xmlattr }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{% if a %}" * 300 + "{% endif %}" * 300,
    "{{ " + "x." * 5000 + "y }}",
    "{{ x" + "|upper" * 3000 + " }}",
    "{{ '" + "a" * 20_000 + "' }}",
    "{{ a }}" * 40_000,
    "{{ 9" + "9" * 6000 + " }}",
    "{{ x is divisibleby(0) }}",
    "{{ x is sameas(y) }}",
    "{% do x %}",
    "{{ x",
    "{% if %}",
]


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_template_is_refused_at_once(source):
    start = time.process_time()

    with pytest.raises(InputError) as caught:
        check_template(source, "design")

    assert time.process_time() - start < 0.5  # of its own time, whatever else runs
    assert "line" in str(caught.value) or "too" in str(caught.value) or "characters" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "context"),
    [
        ("{{ a|replace('a', b)|replace('b', b)|replace('c', b) }}", {"a": "a" * 1000, "b": "abc" * 3000}),
        ("{% for x in a %}{% for y in a %}{{ b }}{% endfor %}{% endfor %}", {"a": ["x"] * 2000, "b": "y" * 500}),
        ("{{ a|join(b) }}", {"a": ["x"] * 100_000, "b": "y" * 1000}),
        ("{{ a|round(1000000000) }}", {"a": 1}),
        ("{{ a|number(1000000000) }}", {"a": 1}),
        ("{{ a|number }}", {"a": "9e999999"}),
    ],
)
def test_data_bomb_stops_at_the_output_cap(source, context):
    start = time.process_time()

    with pytest.raises(RenderError):
        Renderer(source, "", "").html_qp(context)

    assert time.process_time() - start < 1


def test_refusal_names_the_line_and_what_to_write():
    with pytest.raises(InputError) as caught:
        check_template("one\ntwo\n{{ contact.first_name.upper() }}", "subject")

    [problem] = caught.value.problems
    assert problem.where == "subject, line 3"
    assert "called" in problem.what
    assert "default(" in problem.mend


def test_every_problem_is_reported():
    with pytest.raises(InputError) as caught:
        check_template("{{ a() }}\n{{ 1 + 1 }}\n{{ a|nope }}")

    assert [problem.where for problem in caught.value.problems] == ["line 1", "line 2", "line 3"]


def test_ordinary_template_passes():
    check_template(
        "{% if contact.city == 'Oslo' and not contact.tags %}{{ contact.first_name|default('you')|title|truncate(20) }}"
        "{% elif event.n < 5 %}{% for a in items %}{{ loop.index }} {{ a.name }}{% endfor %}"
        "{% else %}{{ links[3] }}{% endif %}"
        "{{ 'a' if x is defined else 'b' }}{{ amount|money('EUR') }}{{ day|date('short') }}"
    )
