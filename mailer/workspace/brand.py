"""The workspace's color on public pages, made readable on light and dark grounds (WCAG 2.2, 1.4.3). Pure."""

import re

_COLOR = re.compile(r"#[0-9a-f]{6}")
_READABLE = 4.5
_LIGHT, _DARK = "#ffffff", "#191f3b"
"""The papers of frontend/src/letter.css."""
_INK = "#10142a"
Rgb = tuple[float, float, float]


def is_color(text: str) -> bool:
    """Return whether `text` is a color such as `#3a4fd0`."""
    return _COLOR.fullmatch(text.lower()) is not None


def build_style(color: str) -> str:
    """Return the style sheet that puts `color` in place of the house's own; empty where it is none."""
    if not is_color(color):
        return ""
    light, dark = _until_readable(color, _LIGHT), _until_readable(color, _DARK)
    return (
        f":root{{--brand:{light};--on:{_text_on(light)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--brand:{dark};--on:{_text_on(dark)}}}}}\n"
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors, 1 to 21."""
    low, high = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (high + 0.05) / (low + 0.05)


def _until_readable(color: str, ground: str) -> str:
    """Move `color` away from `ground` until it can be read on it."""
    goal = _rgb(_INK if _luminance(_rgb(ground)) > 0.5 else _LIGHT)  # noqa: PLR2004 - half way
    start = _rgb(color)
    for step in range(21):
        found = _hex(tuple(a + (b - a) * step / 20 for a, b in zip(start, goal, strict=True)))
        if contrast(found, ground) >= _READABLE:
            return found
    return _hex(goal)


def _text_on(color: str) -> str:
    return _LIGHT if contrast(color, _LIGHT) >= contrast(color, _INK) else _INK


def _rgb(color: str) -> Rgb:
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _hex(parts: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)


def _luminance(color: Rgb) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color)  # noqa: PLR2004
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
