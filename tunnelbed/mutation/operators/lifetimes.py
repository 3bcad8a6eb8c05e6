"""Mistakes that hours hide: the tunnel comes up, carries everything, and ends at its first change of keys, or later.

Names and defaults are swanctl.conf(5)'s: an IKE_SA changes its keys after 4 h and ends a tenth later, a CHILD_SA after
1 h likewise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.operators import operator
from tunnelbed.mutation.operators.swanctl import EXCHANGES, Connections, Edit, everywhere, where
from tunnelbed.vpn.strongswan.swanctl_conf import Section

SETTINGS = "strongswan.conf"
BREAK = "charon {\n    make_before_break = no\n}\n"
OTHERS = ("ecp256", "ecp384")


@operator("life-short")
def life_short(files: Sources) -> Iterator[Mutant]:
    """The keys of a tunnel end before the time at which they are to be changed."""
    for connections in everywhere(files):
        for child in _sections(connections, "ESP"):
            changes = connections.changed(_set(connections, child, {"rekey_time": "1h", "life_time": "30m"}))
            sentence = f"{connections.node}: the ESP keys of {child.name} end after half of their rekey_time"
            yield Mutant("life-short", f"{connections.node} {where(child)}", sentence, changes)


@operator("margin-missing")
def margin_missing(files: Sources) -> Iterator[Mutant]:
    """Keys end at the very moment at which they are to be changed, at every gateway: of IKE, or of ESP."""
    for layer, values in (("IKE", {"over_time": "0s"}), ("ESP", {"rekey_time": "1h", "life_time": "1h"})):
        changes: dict[Path, str] = {}
        for connections in everywhere(files):
            edits = [edit for one in _sections(connections, layer) for edit in _set(connections, one, values)]
            changes |= connections.changed(edits)
        if changes:
            sentence = f"every gateway: {layer} keys end when they are to be changed"
            yield Mutant("margin-missing", f"every gateway {layer}", sentence, changes)


@operator("reauth-breaks")
def reauth_breaks(files: Sources) -> Iterator[Mutant]:
    """A tunnel is ended, and made anew, each time the peers prove their identities again."""
    for connections in everywhere(files):
        for connection in _sections(connections, "IKE"):
            edits = _set(connections, connection, {"reauth_time": "3h", "rekey_time": "4h"})
            sentence = f"{connections.node}: {connection.name} is ended and made anew every 3 hours"
            changes = {**connections.changed(edits), **_breaking(files, connections)}
            yield Mutant("reauth-breaks", f"{connections.node} {where(connection)}", sentence, changes)


@operator("exchange-differs")
def exchange_differs(files: Sources) -> Iterator[Mutant]:
    """A gateway wants another group for new ESP keys than its peer does, and the first ones come without."""
    for connections in everywhere(files):
        for setting in connections.settings("esp_proposals"):
            head, _, was = setting.value.rpartition("-")
            if head and was.startswith(EXCHANGES):
                other = next(group for group in OTHERS if group != was)
                sentence = f"{where(setting)} renews keys with {other} in place of {was}"
                yield connections.mutant("exchange-differs", setting, f"{head}-{other}", sentence)


def _sections(connections: Connections, layer: str) -> Iterator[Section]:
    """What has the lifetimes of IKE's keys, the connections, or of ESP's, their children."""
    for connection in connections.conf.sections("connections"):
        if layer == "IKE":
            yield connection
        else:
            yield from connections.conf.sections("connections", connection.name, "children")


def _set(connections: Connections, section: Section, values: Mapping[str, str]) -> Sequence[Edit]:
    """A section with these settings; what charon would derive from one of them stands there, too."""
    return [connections.with_setting(section, key, value) for key, value in values.items()]


def _breaking(files: Sources, connections: Connections) -> Mapping[Path, str]:
    """Settings with which charon ends an IKE_SA before there is another (strongswan.conf(5))."""
    path = files.file(connections.node, SETTINGS)
    return {path: files.text(path) + BREAK}
