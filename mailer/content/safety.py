"""What a template may say: an allow-list of the syntax tree, with limits. Pure.

Jinja's sandbox stops escapes, not exhaustion: `{{ 'a'|center(10**9) }}` is one line. So calls, assignments, macros,
includes, arithmetic and string building are refused before anything is compiled, and what is left cannot run away.
"""

import re
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError, nodes

from mailer.content.environment import MailEnvironment
from mailer.content.filters import SAFE_FILTERS, SAFE_TESTS
from mailer.errors import InputError, Problem

MAX_SOURCE = 200_000
MAX_NODES = 20_000
MAX_DEPTH = 40
MAX_LOOPS = 2
MAX_CONSTANT = 10_000
MAX_NUMBER = 10**12

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.If,
    nodes.For, nodes.Filter, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test, nodes.CondExpr,
    nodes.List, nodes.Tuple,
)  # fmt: skip
_USE_FILTER = "use a filter, such as {{ contact.first_name | default('there') }}"
_REFUSED: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Call: ("nothing can be called in a template", _USE_FILTER),
    nodes.Assign: ("set is not available", "put the value into the campaign's data"),
    nodes.AssignBlock: ("set is not available", "put the value into the campaign's data"),
    nodes.Macro: ("macros are not available", "repeat with a for loop over the campaign's data"),
    nodes.CallBlock: ("macros are not available", "repeat with a for loop over the campaign's data"),
    nodes.FilterBlock: ("filter blocks are not available", "put the filter into each {{ … }}"),
    nodes.Include: ("include is not available", 'use a stored block: <mj-include path="name" />'),
    nodes.Import: ("import is not available", 'use a stored block: <mj-include path="name" />'),
    nodes.FromImport: ("import is not available", 'use a stored block: <mj-include path="name" />'),
    nodes.Extends: ("extends is not available", "copy the design and change the copy"),
    nodes.Block: ("blocks are not available", "copy the design and change the copy"),
    nodes.Concat: ("texts cannot be joined with ~", "write two {{ … }} one after the other"),
    nodes.BinExpr: ("there is no arithmetic in a template", "put the result into the campaign's data"),
    nodes.UnaryExpr: ("there is no arithmetic in a template", "put the result into the campaign's data"),
    nodes.Dict: ("dictionaries cannot be written in a template", "put them into the campaign's data"),
    nodes.Slice: ("slices are not available", "use truncate, first or last"),
    nodes.With: ("with is not available", "put the value into the campaign's data"),
}  # fmt: skip
_SYNTAX = re.compile(r"unknown tag '(\w+)'")
_ENVIRONMENT = MailEnvironment(is_html=True)


def check_template(source: str, where: str = "") -> nodes.Template:
    """Return the syntax tree of `source`; `where` stands before each line number in messages.

    Raises:
        InputError: what is not allowed, each with its line and what to write instead.
    """
    if len(source) > MAX_SOURCE:
        raise InputError(
            f"the template has {len(source):,} characters; at most {MAX_SOURCE:,} are allowed", where=where
        )
    try:
        tree = _ENVIRONMENT.parse(source)
    except TemplateSyntaxError as error:
        raise InputError([_syntax_problem(error, where)]) from error
    except (RecursionError, MemoryError, ValueError, OverflowError) as error:
        raise InputError("the template is nested too deeply or holds an impossible value", where=where) from error
    walk = _Walk(where, [])
    walk.visit(tree, depth=0, loops=0)
    if walk.problems:
        raise InputError(walk.problems)
    return tree


@dataclass
class _Walk:
    where: str
    problems: list[Problem]
    count: int = 0

    def visit(self, node: nodes.Node, *, depth: int, loops: int) -> None:
        """Check `node` and what is below it; stop after ten problems or at a limit."""
        self.count += 1
        if len(self.problems) >= 10:  # noqa: PLR2004 - enough to read at once
            return
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            self._add(
                node,
                "the template is too large or nested too deeply",
                f"at most {MAX_DEPTH} levels, {MAX_NODES:,} parts",
            )
            self.problems = self.problems[:10]
            self.count = -(10**9)  # said once
            return
        if not isinstance(node, _ALLOWED):
            name = type(node).__name__.lower()
            self._add(node, *_REFUSED.get(_kind(node), (f"{name} is not available in a template", _USE_FILTER)))
            return
        loops += isinstance(node, nodes.For)
        self._check(node, loops)
        for child in node.iter_child_nodes():
            self.visit(child, depth=depth + 1, loops=loops)

    def _check(self, node: nodes.Node, loops: int) -> None:  # noqa: C901 - one line a rule
        match node:
            case nodes.For() if node.recursive or loops > MAX_LOOPS:
                self._add(
                    node,
                    "loops may stand in loops once and may not be recursive",
                    "make the list flat in the campaign's data",
                )
            case nodes.Filter() if node.name not in SAFE_FILTERS:
                self._add(node, f"there is no filter {node.name!r}", "use one of " + ", ".join(sorted(SAFE_FILTERS)))
            case nodes.Filter() if node.node is None or node.dyn_args or node.dyn_kwargs:
                self._add(node, "filters take plain arguments only", _USE_FILTER)
            case nodes.Test() if node.name not in SAFE_TESTS:
                self._add(node, f"there is no test {node.name!r}", "use one of " + ", ".join(sorted(SAFE_TESTS)))
            case nodes.Test() if node.dyn_args or node.dyn_kwargs:
                self._add(node, "tests take plain arguments only")
            case nodes.Getattr() if node.attr.startswith("_"):
                self._add(node, f"there is no value {node.attr!r}", "names do not begin with an underscore")
            case nodes.Getitem(arg=nodes.Const(value=str(key))) if key.startswith("_"):
                self._add(node, f"there is no value {key!r}", "names do not begin with an underscore")
            case nodes.Name() if node.ctx != "load" and node.name in ("contact", "links"):
                self._add(node, f"{node.name!r} cannot be the name of a loop", "choose another name")
            case nodes.Name() if node.name.startswith("_") or node.name == "self":  # the engine's own
                self._add(node, f"there is no value {node.name!r}", "names do not begin with an underscore")
            case nodes.Const(value=str(text)) if len(text) > MAX_CONSTANT:
                self._add(
                    node,
                    f"a text in quotes has more than {MAX_CONSTANT:,} characters",
                    "put it into the campaign's data",
                )
            case nodes.Const(value=int(value)) if abs(value) > MAX_NUMBER:
                self._add(node, "a number is too large")

    def _add(self, node: nodes.Node, what: str, mend: str = "") -> None:
        self.problems.append(Problem(_place(self.where, node.lineno), what, mend))


def _kind(node: nodes.Node) -> type[nodes.Node]:
    return next((kind for kind in type(node).__mro__ if kind in _REFUSED), type(node))


def _place(where: str, line: int) -> str:
    return f"{where}, line {line}" if where else f"line {line}"


def _syntax_problem(error: TemplateSyntaxError, where: str) -> Problem:
    message = error.message or "the template cannot be read"
    unknown = _SYNTAX.search(message)
    mend = (
        "if, elif, else, endif, for and endfor are available" if unknown else "check the braces, quotes and names here"
    )
    return Problem(_place(where, error.lineno), message.rstrip("."), mend)
