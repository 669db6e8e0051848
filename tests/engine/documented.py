"""The commands that the documents give, as a user copies them."""

from __future__ import annotations

from tests.infra.recorder import ROOT

DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
OUTSIDE = (ROOT / "docs" / "outside.md").read_text(encoding="utf-8")


def commands(section: str, *, starting: tuple[str, ...] = ("cp ", "pulumi "), page: str = DEPLOY) -> list[str]:
    """The command lines of a section of `page` that start with `starting`, without their comments."""
    text = page.split(f"\n## {section}\n")[1].split("\n## ", maxsplit=1)[0]
    lines = [line[4:].split(" #")[0].rstrip() for line in text.splitlines() if line.startswith("    ")]
    return [line for line in lines if line.startswith(starting)]
