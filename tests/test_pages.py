"""Pages for people: what they link to is there, and a network that they show is proven."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def links() -> Iterator[tuple[str, str]]:
    """Each page with each relative link that it has."""
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            yield str(page.relative_to(ROOT)), target


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    assert (ROOT / page).parent.joinpath(target).exists()


def test_the_network_without_a_vpn_is_the_one_that_is_proven() -> None:
    page, proven = (ROOT / "docs" / "your-own.md").read_text(), ROOT / "tests" / "fields" / "no_vpn"
    for file in ("compose/office.yaml", "configs/office/wall/nftables.conf"):
        assert (proven / file).read_text() in page
    for node in ("desk", "web"):
        route = (proven / "configs" / "office" / node / "ip.batch").read_text().rpartition(" ")[2].strip()
        assert f"via {route}" in page or f"`{route}`" in page
