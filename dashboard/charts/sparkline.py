"""A few values as a small picture for a card."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _HEIGHT, _EDGE = 240, 52, 4


def sparkline(values: Sequence[float], colour: str, *, bars: bool = False) -> str:
    """`values` as an SVG line, or as bars from zero. A Vega chart for each card would take longer than the page."""
    low, high = (min(0, *values), max(0, *values)) if bars else (min(values), max(values))
    scale = (_HEIGHT - 2 * _EDGE) / ((high - low) or 1)
    step = (_WIDTH - 2 * _EDGE) / max(len(values) - (0 if bars else 1), 1)

    def y(value: float) -> float:
        return _HEIGHT - _EDGE - (value - low) * scale

    if bars:
        body = "".join(
            f'<rect x="{_EDGE + step * (n + 0.15):.1f}" y="{min(y(value), y(0)):.1f}" width="{step * 0.7:.1f}" '
            f'height="{max(abs(y(value) - y(0)), 0.8):.1f}" rx="1.5" fill="{colour}"/>'
            for n, value in enumerate(values)
        )
    else:
        points = " ".join(f"{_EDGE + step * n:.1f},{y(value):.1f}" for n, value in enumerate(values))
        body = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">{body}</svg>'
