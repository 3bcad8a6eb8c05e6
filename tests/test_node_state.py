"""The state of all nodes: collected side by side, with dead nodes told, and without a key."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from behave.model import Scenario, Step
from behave.model_type import Status
from behave.parser import parse_feature

from tests.conftest import Checkout
from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tests.reported import Reported
from tunnelbed import vpn
from tunnelbed.checks.unmet import Unmet, unmet
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, NodeFailed
from tunnelbed.host.shell import Completed
from tunnelbed.observe.evidence import LogTail, NodeState, Section, Text
from tunnelbed.testbed import node_state
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

KEY = "0x5ec7e7c0ffee5ec7e7c0ffee5ec7e7c0ffee5ec7"
# As ip(8) does: keys, unless it is asked for the list without.
IP = f"""#!/bin/sh
case "$*" in
    *nokeys*) echo "aead rfc4106(gcm(aes)) <<Keys hidden>> 128" ;;
    *xfrm*state*) echo "aead rfc4106(gcm(aes)) {KEY} 128" ;;
    *) echo "ip $*" ;;
esac
"""
TEXT = """\
@scenario.pair
Feature: reach
  Scenario: first
    Given it holds
    Then it fails
    Then it fails
"""


@pytest.fixture
def up(pair: Pair) -> Iterator[tuple[Bed, FakeNetwork]]:
    with brought_up(pair.load(), pair.root) as found:
        yield found


def section(found: NodeState, name: str) -> str:
    return "\n".join(line for part in found.sections if part.name == name for line in part.lines)


def test_every_node_is_collected_in_the_stack_s_order_with_its_own_sections(up: tuple[Bed, FakeNetwork]) -> None:
    bed, network = up
    network.say("host-a", "its last words")
    found = node_state.collect(bed)
    assert [one.node for one in found] == list(bed.scenario.nodes)
    assert all((one.state, one.missing) == ("running", "") for one in found)
    host = next(one for one in found if one.node == "host-a")
    assert "10.1.0.2/24" in section(host, "addresses")
    assert "its last words" in section(host, "log")


def test_one_node_alone_is_collected(up: tuple[Bed, FakeNetwork]) -> None:
    assert [one.node for one in node_state.collect(up[0], "host-b")] == ["host-b"]
    with pytest.raises(BadInput, match="host-x"):
        node_state.collect(up[0], "host-x")


def test_a_node_that_does_not_run_is_told_and_the_others_are_collected(
    up: tuple[Bed, FakeNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    bed, network = up
    states = network.states("")
    monkeypatch.setattr(network, "states", lambda _: {**states, "gateway-a": "paused", "host-a": "exited"})
    found = {one.node: one for one in node_state.collect(bed)}
    assert (found["gateway-a"].state, found["host-a"].state) == ("paused", "exited")
    assert found["host-a"].missing == "only its log can be read"
    assert [part.name for part in found["host-a"].sections] == ["log"]
    assert section(found["host-b"], "addresses")
    assert node_state.text([found["host-a"]]).startswith("host-a: exited; only its log can be read\n  log:")


def test_a_node_that_does_not_answer_in_time_is_told_without_the_script(up: tuple[Bed, FakeNetwork]) -> None:
    bed, network = up

    def hangs(node: str, command: object) -> Completed | None:
        if node == "gateway-a" and "== addresses" in str(command):
            return replace(Completed((), 0, "", "did not end in time"), status=cast("int", None))
        return None

    network.answers.append(hangs)
    found = {one.node: one for one in node_state.collect(bed)}
    assert found["gateway-a"].missing == "it was not read: did not end in time"
    assert not found["gateway-b"].missing
    assert section(found["gateway-b"], "addresses")


def test_a_testbed_that_is_not_up_is_a_line(checkout: Checkout) -> None:
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    with pytest.raises(BadInput, match=r"^collect: tiny: found no node, expected a testbed that is up; bring it up"):
        node_state.collect(bed)


def test_a_long_section_says_how_much_more_there_is() -> None:
    (part,) = node_state.sections("== routes\n" + "default\n" * 1000)
    assert len(part.lines) == node_state.MOST_LINES + 1
    assert part.lines[-1] == "(600 more lines)"
    two = [NodeState(name, "running", (part,)) for name in ("a", "b")]
    assert node_state.text(two).count("    default") == 2 * node_state.SHOWN_LINES
    assert "(389 more lines)" in node_state.text(two)
    assert node_state.text(two[:1]).count("    default") == node_state.MOST_LINES


def test_of_a_long_log_the_last_lines_are_printed() -> None:
    log = Section("log", tuple(f"line {number}" for number in range(node_state.SHOWN_LINES + 3)))
    said = node_state.text([NodeState(name, "running", (log,)) for name in ("a", "b")])
    assert said.count("(3 earlier lines)") == 2
    assert "line 14" in said
    assert "line 2\n" not in said


def test_the_file_has_every_node(up: tuple[Bed, FakeNetwork], tmp_path: Path) -> None:
    bed, _ = up
    file = tmp_path / "nodes.json"
    node_state.write(file, bed, node_state.collect(bed))
    whole = json.loads(file.read_text(encoding="utf-8"))
    assert (whole["version"], whole["scenario"], whole["instance"]) == (1, bed.scenario.name, "")
    assert [one["node"] for one in whole["nodes"]] == list(bed.scenario.nodes)
    assert set(whole["nodes"][0]) == {"kind", "node", "state", "sections", "missing"}
    page = (Path(__file__).parent.parent / "docs" / "collect.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in page for key in whole)
    with pytest.raises(BadInput, match=r"--json: found .*, expected a file that can be written"):
        node_state.write(tmp_path, bed, [])


def script_on(tools: Path, **written: str) -> str:
    """What the scripts print on a node that has these tools."""
    for name, text in written.items():
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    listed = "".join(kind.listed for kind in vpn.every())
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = ["sh", "-c", f"{node_state.SCRIPT}{listed}exit 0"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=60).stdout


def test_the_kernel_s_keys_are_never_asked_for(tmp_path: Path) -> None:
    said = script_on(tmp_path, ip=IP)
    assert "<<Keys hidden>>" in said
    assert KEY not in said
    shown = subprocess.run([tmp_path / "ip", "xfrm", "state"], capture_output=True, text=True, check=True).stdout
    assert KEY in shown


def test_no_secret_of_the_kernel_s_own_is_among_the_sysctls(tmp_path: Path) -> None:
    said = script_on(tmp_path)
    assert "net/" not in said.partition("== sysctls")[0]
    assert "ipv4/ip_forward:" in said
    assert "secret" not in node_state.SCRIPT
    assert "secret" not in said.partition("== sysctls")[2].partition("== sockets")[0]


def test_hex_dumps_of_a_log_stay_on_the_node() -> None:
    log = """ready
05[IKE] shared Diffie Hellman secret => 32 bytes @ 0x7f
05[IKE]    0: 5E C7 E7 C0 FF EE 5E C7 E7 C0 FF EE 5E C7 E7 C0  ^.....^.....^...
05[IKE]   16: 5E C7                                            ^.
06[IKE] CHILD_SA established with SPIs c1c2c3c4_i c5c6c7c8_o at 10:01:02
"""
    assert node_state.log_tail(log) == (
        "ready",
        "05[IKE] shared Diffie Hellman secret => 32 bytes @ 0x7f",
        "06[IKE] CHILD_SA established with SPIs c1c2c3c4_i c5c6c7c8_o at 10:01:02",
    )


def test_hex_dumps_stay_on_the_node_at_a_failure_too(up: tuple[Bed, FakeNetwork]) -> None:
    bed, network = up
    network.say("gateway-a", "05[IKE] SK_d secret => 32 bytes @ 0x7f")
    network.say("gateway-a", "05[IKE]    0: 5E C7 E7 C0 FF EE 5E C7 E7 C0 FF EE 5E C7 E7 C0  ^.....^.....^...")
    (log,) = unmet(bed, "a tunnel", "none", nodes=["gateway-a"]).evidence
    assert isinstance(log, LogTail)
    assert log.lines[-1] == "05[IKE] SK_d secret => 32 bytes @ 0x7f"


class Run:
    """A run of one scenario on one testbed."""

    def __init__(self, bed: Bed | None, folder: Path) -> None:
        feature = parse_feature(TEXT, filename="features/reach.feature")
        self.scenario: Scenario = next(iter(feature.walk_scenarios()))
        self.path = folder / "report.json"
        self.run = Reported(feature, {}, self.path)
        self.report = self.run.report
        if bed:
            self.run.context.bed = bed
        self.report.scenario(self.scenario)

    def ends(self, number: int, status: Status, wrong: Exception | None = None) -> None:
        step: Step = self.scenario.steps[number]
        step.status, step.exception = status, wrong
        self.report.result(step)

    def evidence(self) -> list[list[dict[str, object]]]:
        self.report.close()
        whole = json.loads(self.path.read_text(encoding="utf-8"))
        return [one["evidence"] for one in whole["features"][0]["scenarios"][0]["sentences"]]


def test_the_first_sentence_that_does_not_hold_has_the_state_of_that_moment(
    up: tuple[Bed, FakeNetwork], tmp_path: Path
) -> None:
    bed, _ = up
    run = Run(bed, tmp_path)
    change = ["ip", "address", "add", "10.99.0.1/32", "dev", "lo"]
    run.ends(0, Status.passed)
    bed.node("host-a").run(change, check=True)
    run.ends(1, Status.failed, Unmet("a pong", "no answer", [Text(("its own",))]))
    bed.node("host-a").run([*change[:2], "del", *change[3:]], check=True)
    run.ends(2, Status.failed, Unmet("a pong", "no answer"))
    first, second, third = run.evidence()
    assert (first, third) == ([], [])
    assert [one["kind"] for one in second] == ["text", *["node state"] * len(bed.scenario.nodes)]
    assert "10.99.0.1/32" in json.dumps(second)


def test_an_error_is_collected_and_a_wrong_sentence_is_not(up: tuple[Bed, FakeNetwork], tmp_path: Path) -> None:
    run = Run(up[0], tmp_path)
    run.ends(0, Status.error, BadInput("x", "", "y", "z", "correct it"))
    run.ends(1, Status.undefined)
    run.ends(2, Status.error, NodeFailed("host-a", "is silent", "see `invoke logs`"))
    assert [len(one) for one in run.evidence()] == [0, 0, len(up[0].scenario.nodes)]


def test_a_failure_is_reported_though_nothing_can_be_collected(checkout: Checkout, tmp_path: Path) -> None:
    for bed in (None, Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())):
        run = Run(bed, tmp_path)
        run.ends(1, Status.failed, Unmet("a pong", "no answer"))
        said = run.evidence()[1]
        assert [one["kind"] for one in said] == ([] if bed is None else ["text"])
