"""A chart of what was measured, as SVG: a bar for each subject, its phases stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jinja2 import Environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.measure import Cost

_WIDTH: Final = 640
_LEFT: Final = 180
_BAR: Final = 18
_COLOURS: Final = (
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7",
    "#9c755f", "#8cd17d", "#499894", "#d37295", "#b6992d", "#79706e",
)  # fmt: skip
_SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{{ width }}" height="{{ height }}"
  font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
{% for text in texts %}
<text x="{{ text.x }}" y="{{ text.y }}" text-anchor="{{ text.anchor }}"
  {%- if text.bold %} font-weight="bold"{% endif %}>{{ text.said }}</text>
{% endfor %}
{% for bar in bars %}
<rect x="{{ bar.x }}" y="{{ bar.y }}" width="{{ bar.width }}" height="{{ bar.height }}"
  fill="{{ bar.colour }}"><title>{{ bar.said }}</title></rect>
{% endfor %}
</svg>
"""


def draw(title: str, costs: Mapping[str, Cost]) -> str:
    """Give the chart of a series: seconds of the clock; what is in no phase is grey."""
    phases = list(dict.fromkeys(name for cost in costs.values() for name in cost.phases))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(phases)}
    scale = (_WIDTH - 60) / max(cost.wall for cost in costs.values())
    texts = [_text(10, 20, title, bold=True)]
    bars = []
    y = 36
    for name, cost in costs.items():
        texts.append(_text(_LEFT - 8, y + 13, name, anchor="end"))
        x = float(_LEFT)
        rest = max(0.0, cost.wall - sum(cost.phases.values()))
        for phase, seconds in (*cost.phases.items(), ("other", rest)):
            width = seconds * scale
            said = f"{phase}: {seconds:.2f} s"
            bars.append(_bar((x, y), (width, _BAR), colours.get(phase, "#d0d0d0"), said))
            x += width
        texts.append(_text(x + 6, y + 13, f"{cost.wall:.2f} s"))
        y += _BAR + 8
    x = _LEFT
    for phase, colour in colours.items():
        width = 28 + 7 * len(phase)
        if x > _LEFT and x + width > _WIDTH + _LEFT:
            x, y = _LEFT, y + 18
        bars.append(_bar((x, y), (10, 10), colour, phase))
        texts.append(_text(x + 14, y + 10, phase))
        x += width
    drawing = Environment(autoescape=True).from_string(_SVG)
    return drawing.render(width=_WIDTH + _LEFT, height=y + 24, texts=texts, bars=bars)


def _text(x: float, y: float, said: str, *, anchor: str = "start", bold: bool = False) -> object:
    return {"x": round(x, 1), "y": y, "said": said, "anchor": anchor, "bold": bold}


def _bar(place: tuple[float, float], size: tuple[float, float], colour: str, said: str) -> object:
    (x, y), (width, height) = place, size
    box = {"x": round(x, 1), "y": y, "width": round(width, 1), "height": height}
    return {**box, "colour": colour, "said": said}


def lines(costs: Mapping[str, Cost]) -> Sequence[str]:
    """Give the phases of a series as rows of a table in Markdown."""
    phases = list(dict.fromkeys(name for cost in costs.values() for name in cost.phases))
    if not phases:
        return ()
    rows = [f"| phase | {' | '.join(costs)} |", f"|---|{'---:|' * len(costs)}"]
    for phase in phases:
        cells = (f"{cost.phases.get(phase, 0.0):.2f}" for cost in costs.values())
        rows.append(f"| {phase} | {' | '.join(cells)} |")
    return rows
