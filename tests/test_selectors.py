"""Traffic selectors as charon writes them, and as files and sentences do."""

from __future__ import annotations

import pytest

from tunnelbed.vpn.strongswan import sas


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10.2.0.0/24[tcp/http-alt]", "10.2.0.0/24[tcp/8080]"),
        ("10.2.0.0/24[udp/domain]", "10.2.0.0/24[udp/53]"),
        ("10.2.0.0/24[tcp/8080]", "10.2.0.0/24[tcp/8080]"),
        ("10.1.0.0/24[tcp]", "10.1.0.0/24[tcp]"),
        ("10.1.0.0/24[tcp/no-such-service]", "10.1.0.0/24[tcp/no-such-service]"),
        ("10.1.0.0/24", "10.1.0.0/24"),
    ],
)
def test_a_port_is_a_number(written: str, read: str) -> None:
    assert sas.selectors({"local-ts": [written.encode()]}, "local-ts") == (read,)
