"""A few values as a small picture for a card."""

from __future__ import annotations

from collections.abc import Sequence


def sparkline(values: Sequence[float], colour: str, *, bars: bool = False) -> str:
    """A few values in a card, without axes, as an SVG picture: a Vega chart each would cost more than the page."""
    width, height, edge = 240, 52, 4
    least, most = (min(0, *values), max(0, *values)) if bars else (min(values), max(values))
    scale = (height - 2 * edge) / ((most - least) or 1)
    step = (width - 2 * edge) / max(len(values) - (0 if bars else 1), 1)

    def y(value: float) -> float:
        return height - edge - (value - least) * scale

    if bars:
        body = "".join(
            f'<rect x="{edge + step * (n + 0.15):.1f}" y="{min(y(value), y(0)):.1f}" width="{step * 0.7:.1f}" '
            f'height="{max(abs(y(value) - y(0)), 0.8):.1f}" rx="1.5" fill="{colour}"/>'
            for n, value in enumerate(values)
        )
    else:
        points = " ".join(f"{edge + step * n:.1f},{y(value):.1f}" for n, value in enumerate(values))
        body = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{body}</svg>'
