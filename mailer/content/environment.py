"""The environment that templates of campaigns render in: plain dictionaries, nothing to call or global. Pure.

An attribute is a key of a dictionary and nothing else; a missing or empty one is `Missing`, which is false in a
condition, takes a `default`, and may not be printed: never "Hello ,".
"""

from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import Undefined, nodes
from jinja2.compiler import CodeGenerator
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from mailer.content.filters import SAFE_FILTERS, SAFE_TESTS

_LOOP_NAMES = frozenset({"index", "index0", "first", "last", "length", "revindex"})


class Missing(Undefined):
    """A value that is not there; its name is the whole path, `contact.first_name`. False in a condition."""

    def __str__(self) -> str:  # noqa: PLE0307 - it never returns
        self._fail_with_undefined_error()

    def __iter__(self) -> Iterator[Any]:
        self._fail_with_undefined_error()

    def __len__(self) -> int:  # noqa: PLE0303 - it never returns
        self._fail_with_undefined_error()


class _ValueCodeGenerator(CodeGenerator):
    """Two shortcuts: a printed value goes to `environment.finalize` alone, which escapes it; a key knows its path."""

    def visit_Getattr(self, node: nodes.Getattr, frame: Any) -> None:  # noqa: N802 - Jinja's hook
        self.write("environment.field(")
        self.visit(node.node, frame)
        self.write(f", {node.attr!r}, {path_of(node)!r})")

    def visit_Getitem(self, node: nodes.Getitem, frame: Any) -> None:  # noqa: N802 - Jinja's hook
        """`links[3]`, which numbering writes ten times into a mail, is a list of ours: no detour for it."""
        match node:
            case nodes.Getitem(node=nodes.Name(name="links"), arg=nodes.Const(value=int(place))):
                self.visit(node.node, frame)
                self.write(f"[{place}]")
            case _:
                super().visit_Getitem(node, frame)

    def _output_child_pre(self, node: Any, frame: Any, finalize: Any) -> None:
        del node, frame, finalize
        self.write("environment.finalize(")

    def _output_child_post(self, node: Any, frame: Any, finalize: Any) -> None:
        del node, frame, finalize
        self.write(")")


class MailEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox whose `finalize` turns each value into output text, escaping included."""

    code_generator_class = _ValueCodeGenerator

    def __init__(self, *, is_html: bool, finalize: Callable[[Any], str] | None = None) -> None:
        super().__init__(
            autoescape=is_html,
            undefined=Missing,
            keep_trailing_newline=True,
            finalize=finalize,
            cache_size=0,
        )
        self.globals.clear()
        self.filters = dict(SAFE_FILTERS)
        self.tests = {name: TESTS[name] for name in SAFE_TESTS}

    def field(self, obj: Any, key: str, path: str) -> Any:
        """Return the value at `key`; `path` names it where it is missing."""
        if type(obj) is dict:
            value = obj.get(key)
            return Missing(name=path) if value is None or value == "" else value
        if isinstance(obj, LoopContext) and key in _LOOP_NAMES:
            return getattr(obj, key)
        return Missing(name=path)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the value of a key; objects have no attributes here."""
        return self.field(obj, attribute, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of a list or the value of a key."""
        if type(obj) is list and type(argument) is int:
            return obj[argument] if -len(obj) <= argument < len(obj) else Missing(name=f"item {argument}")
        return self.field(obj, str(argument), str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        """Nothing may be called."""
        del obj
        return False


def path_of(node: nodes.Expr) -> str:
    """Return the dotted path of a name or attribute, `contact.first_name`; other expressions show as `…`."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{path_of(node.node)}.{node.attr}"
        case _:
            return "…"
