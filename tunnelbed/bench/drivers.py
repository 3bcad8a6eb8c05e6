"""The drivers of Docker's networks compared, as the paper's section 2.1 does: throughput, latency, processor time.

Three networks in a folder of their own: two neighbours; two hosts with two gateways between them; the same with a
tunnel and a firewall, which is what `invoke new` writes. A driver that the kernel has not is named, and is no failure.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from tunnelbed import vpn
from tunnelbed.bench import machine
from tunnelbed.bench.measured import Results, Runs, Series
from tunnelbed.bench.traffic import percentile, round_trips, transfer
from tunnelbed.engines import Progress
from tunnelbed.errors import EngineUnavailable
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed, open_testbed
from tunnelbed.topology import scaffold
from tunnelbed.topology.compose_file import load
from tunnelbed.topology.limits import DRIVERS

NEIGHBOURS, ROUTED, TUNNEL = "neighbours", "routed", "tunnel"
FORMS = {
    NEIGHBOURS: "neighbours in one network",
    ROUTED: "over three networks and two gateways, in clear",
    TUNNEL: "the same through the tunnel",
}
SENDER, RECEIVER = "host-a", "host-b"
THROUGHPUT, CPU_NODES, CPU_MACHINE = "throughput", "CPU per GB, nodes", "CPU per GB, whole machine"
RTT = {50: "round trip, median", 90: "round trip, 90 %", 99: "round trip, 99 %"}


def measure(runs: int, data_plane: str, progress: Progress) -> Iterator[Results]:
    """Measure each driver on each network in turn, `runs` times; all that was found by then, after each of them."""
    facts = {**machine.conditions(), "runs": str(runs)}
    # No node is a gateway on IPVLAN (engines/docker/drivers.py).
    pairs = [(form, driver) for form, driver in product(FORMS, DRIVERS) if form == NEIGHBOURS or driver != "ipvlan"]
    found = {pair: Runs() for pair in pairs}
    with tempfile.TemporaryDirectory(prefix="tunnelbed-bench-") as folder:
        root = Path(folder)
        write(root)
        for number, (form, driver) in product(range(1, runs + 1), found):
            progress(f"run {number} of {runs}: {FORMS[form]}, {driver}")
            try:
                with _up(form, root, Options(driver=driver, data_plane=data_plane), progress) as bed:
                    facts |= _facts(bed)
                    _add(bed, found[form, driver])
            except EngineUnavailable as lacking:
                facts[driver] = f"not measured: {lacking}"
            yield Results(facts, tuple(_series(found)))


def write(root: Path) -> None:
    """Write the three networks as scenarios below a folder."""
    for form in FORMS:
        scaffold.make(form, root)
    for form in (ROUTED, NEIGHBOURS):
        configs = root / "configs" / form
        scene = load(form, root)
        nodes = scene.nodes.values()
        tunnels = [vpn.file(scene, node, kind) for node in nodes if (kind := vpn.of(node))]
        for file in [*tunnels, *configs.glob("*/nftables.conf"), configs / "pki.yaml"]:
            file.unlink()
        stack = root / "compose" / f"{form}.yaml"
        document = yaml.safe_load(stack.read_text(encoding="utf-8"))
        (_without_tunnel if form == ROUTED else _neighbours)(document, configs)
        stack.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _without_tunnel(document: dict[str, Any], _: Path) -> None:
    for name in ("gateway-a", "gateway-b"):
        document["services"][name]["command"] = ["rest"]


def _neighbours(document: dict[str, Any], configs: Path) -> None:
    services, networks = document["services"], document["networks"]
    for name in ("gateway-a", "gateway-b"):
        del services[name]
        (configs / name / "ip.batch").unlink()
        (configs / name).rmdir()
    for name in (SENDER, RECEIVER):
        (configs / name / "ip.batch").unlink()
    for name in ("isp_link", "intranet_b"):
        del networks[name]
    services[SENDER]["healthcheck"]["test"][-1] = "10.1.0.3"
    services[RECEIVER]["networks"] = {"intranet_a": {"ipv4_address": "10.1.0.3"}}


@contextmanager
def _up(form: str, root: Path, options: Options, progress: Progress) -> Iterator[Testbed]:
    """One of the networks, as long as the body runs."""
    bed = open_testbed(load(form, root), root)
    try:
        bed.up(options, progress)
        yield bed
    finally:
        bed.down()
        bed.close()


def _facts(bed: Testbed) -> Mapping[str, str]:
    """The engine's facts, and what processed ESP."""
    said = {"docker": ", ".join(f"{key} {value}" for key, value in bed.engine.describe().items())}
    planes = {status.data_plane for status in bed.status() if status.data_plane}
    return said | ({"ESP": ", ".join(planes).replace("user", "in user space")} if planes else {})


def _add(bed: Testbed, found: Runs) -> None:
    before = bed.engine.usage(bed.project)
    with machine.Meter() as meter:
        carried = transfer(bed, SENDER, RECEIVER)
    spent = bed.engine.usage(bed.project).cpu_seconds - before.cpu_seconds
    found.add(THROUGHPUT, carried.megabits_per_second, "Mbit/s")
    found.add(CPU_NODES, spent / carried.gigabytes)
    found.add(CPU_MACHINE, meter.cpu_seconds / carried.gigabytes)
    answers = round_trips(bed, SENDER, RECEIVER)
    for share, name in RTT.items():
        found.add(name, percentile(answers, share), "ms")


def _series(found: Mapping[tuple[str, str], Runs]) -> Sequence[Series]:
    """A series for each network and driver that was measured."""
    return [Series(FORMS[form], driver, runs.measured()) for (form, driver), runs in found.items() if runs.measured()]
