"""A scenario's network as an SVG picture that stands alone: in a file, or inside a page.

Each part is a group that a page can find: `data-node`, `data-network`, `data-interface="NODE NETWORK"`,
`data-tunnel="NODE NODE"` with its state in `data-state`, and `data-site`. Colours are CSS variables; a page sets
`--drawing-ink` and the others (`COLOURS`), and by default they follow the reader's choice of dark or light.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.layout import picture
from tunnelbed.report.drawing.shapes import SIZES, Box, Frame, Label, Picture, Placed, Point, Tube, Wire
from tunnelbed.topology.model import Scenario

# What each variable is by default, in light and in dark.
COLOURS: Mapping[str, tuple[str, str]] = {
    "ink": ("#16212c", "#e6edf3"),
    "soft": ("#46586a", "#a9b8c6"),
    "paper": ("#ffffff", "#10161c"),
    "frame": ("#eef2f6", "#1b242d"),
    "line": ("#5b6e80", "#8496a8"),
    "node": ("#ffffff", "#222e39"),
    "gateway": ("#fff4dc", "#3d3320"),
    "network": ("#dde7f1", "#2b3b4b"),
    "tunnel": ("#5fb59a", "#3f8f76"),
    "up": ("#1a9a68", "#35b981"),
    "down": ("#cf3b2e", "#f0705f"),
}
STATES = {"configured": "as its files have it", "up": "up", "down": "down"}
FONTS = '"DejaVu Sans Mono",Menlo,Consolas,"Liberation Mono",ui-monospace,monospace'
CORNER = 6.0


def svg(scene: Scenario, tunnels: Sequence[Tunnel], *, styled: bool = True) -> str:
    """The drawing of a scenario and these tunnels: one `<svg>` element, by default with its style sheet inside."""
    drawn = picture(scene, tunnels)
    kinds = {node.name: node.role for node in scene.nodes.values()}
    size = f'width="{_n(drawn.width)}" height="{_n(drawn.height)}"'
    view = f"0 0 {_n(drawn.width)} {_n(drawn.height)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tunnelbed-drawing" role="img" {size} viewBox="{view}">',
        f"<title>{escape(scene.name)}: the network and its tunnels</title>",
        f"<desc>{escape(_said(scene, tunnels))}</desc>",
        *([f"<style>{style()}</style>"] if styled else []),
        f'<rect class="paper" {size}/>',
        *_parts(drawn, kinds),
        "</svg>\n",
    ]
    return "\n".join(lines)


def _parts(drawn: Picture, kinds: Mapping[str, str]) -> Iterator[str]:
    for frame in drawn.frames:
        yield _frame(frame)
    for tube in drawn.tubes:
        yield _tube(tube)
    for item in drawn.placed:
        yield _placed(item, kinds)
    for wire in drawn.wires:
        yield _wire(wire)


def _said(scene: Scenario, tunnels: Sequence[Tunnel]) -> str:
    """The picture in words, for those who do not see it."""
    attached = [
        f"{node.name} is attached to {', '.join(at.network for at in node.attachments)}."
        for node in scene.nodes.values()
        if node.attachments
    ]
    said = [f"Tunnel between {tunnel.one} and {tunnel.other}: {STATES[tunnel.state]}." for tunnel in tunnels]
    return " ".join([*attached, *(said or ["No tunnels."])])


def style() -> str:
    """The style sheet of all drawings; every rule is for drawings only, as it holds for the whole page around one."""
    light = ";".join(f"--{name}:var(--drawing-{name},{found[0]})" for name, found in COLOURS.items())
    dark = ";".join(f"--{name}:var(--drawing-{name},{found[1]})" for name, found in COLOURS.items())
    rules = [
        f"{{{light};max-width:100%;height:auto;font-family:{FONTS}}}",
        " text{fill:var(--ink);text-anchor:middle}",
        *(f" text.{kind}{{font-size:{size:g}px}}" for kind, size in SIZES.items()),
        " text.name{font-weight:bold}",
        " text.site,.tunnelbed-drawing .network .address{fill:var(--soft)}",
        " .paper{fill:var(--paper)}",
        " .site rect{fill:var(--frame)}",
        " .node rect{fill:var(--node);stroke:var(--line);fill-opacity:.7}",
        " .gateway rect{fill:var(--gateway)}",
        " .network rect{fill:var(--network);fill-opacity:.7}",
        " path{fill:none;stroke:var(--line)}",
        " .interface path{stroke-width:1.4}",
        " .tunnel path{stroke:var(--tunnel)}",
        " .tunnel.up path{stroke:var(--up)}",
        " .tunnel.down path{stroke:var(--down);stroke-dasharray:7 5}",
    ]
    every = "".join(f".tunnelbed-drawing{rule}" for rule in rules)
    return f"{every}@media (prefers-color-scheme:dark){{.tunnelbed-drawing{{{dark}}}}}"


def _frame(frame: Frame) -> str:
    boxes = "".join(_rect(box, 8 if len(frame.boxes) == 1 else 0) for box in frame.boxes)
    return f'<g class="site" data-site={quoteattr(frame.site)}>{boxes}{_text(frame.label)}</g>'


def _tube(tube: Tube) -> str:
    tunnel = tube.tunnel
    title = f"tunnel between {tunnel.one} and {tunnel.other}: {STATES[tunnel.state]}"
    return (
        f'<g class="tunnel {tunnel.state}" data-tunnel={quoteattr(f"{tunnel.one} {tunnel.other}")}'
        f' data-state="{tunnel.state}"><title>{escape(title)}</title>'
        f'<path stroke-width="{_n(tube.width)}" d="{_path(tube.points)}"/></g>'
    )


def _placed(item: Placed, kinds: Mapping[str, str]) -> str:
    kind, role = item.key.kind, kinds.get(item.key.name, "") if item.key.kind == "node" else ""
    known = f" {role}" if role in ("gateway", "router") else ""
    title = " ".join(filter(None, [role or kind, *(label.text for label in item.labels)]))
    return (
        f'<g class="{kind}{known}" data-{kind}={quoteattr(item.key.name)}><title>{escape(title)}</title>'
        f"{_rect(item.box, 4 if kind == 'node' else 12)}{''.join(map(_text, item.labels))}</g>"
    )


def _wire(wire: Wire) -> str:
    title = " ".join([f"{wire.node} on {wire.network}", *(label.text for label in wire.labels)])
    return (
        f'<g class="interface" data-interface={quoteattr(f"{wire.node} {wire.network}")}><title>{escape(title)}</title>'
        f'<path d="{_path(wire.points)}"/>{"".join(map(_text, wire.labels))}</g>'
    )


def _rect(box: Box, corner: float) -> str:
    return (
        f'<rect x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}" rx="{_n(corner)}"/>'
    )


def _text(label: Label) -> str:
    return f'<text class="{label.kind}" x="{_n(label.x)}" y="{_n(label.y)}">{escape(label.text)}</text>'


def _path(points: Sequence[Point]) -> str:
    """A line through these points, with round corners."""
    words = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for (before, here), (_, after) in pairwise(pairwise(points)):
        words.append(f"L{_near(here, before)}Q{_n(here[0])} {_n(here[1])} {_near(here, after)}")
    return "".join([*words, f"L{_n(points[-1][0])} {_n(points[-1][1])}"])


def _near(corner: Point, other: Point) -> str:
    """A point before a corner, on the line to the other: at most half of the way."""
    away = max(abs(other[0] - corner[0]), abs(other[1] - corner[1]))
    part = min(CORNER, away / 2) / away if away else 0.0
    return " ".join(_n(here + (there - here) * part) for here, there in zip(corner, other, strict=True))


def _n(number: float) -> str:
    """A number as short as it can be, to a tenth."""
    return f"{number:.1f}".removesuffix(".0")
