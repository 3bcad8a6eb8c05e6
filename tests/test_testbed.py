"""A testbed's life on an engine that runs nothing: up, up again, half up, down, and alone."""

from __future__ import annotations

import contextlib
import json
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.conftest import Checkout
from tests.fake_charon import FakeCharon, FakeHost, recorded
from tests.test_pki import GOOD
from tunnelbed import engines
from tunnelbed.engines import Plan, Usage
from tunnelbed.engines.agents import Agents
from tunnelbed.engines.fake import ENGINE as FAKE_ENGINE
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, ChecksFailed, DeadlinePassed, EngineUnavailable, NodeFailed, TunnelbedError
from tunnelbed.host.shell import Completed
from tunnelbed.testbed import readiness, status_report, testbed
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.status import NodeStatus
from tunnelbed.topology import compose_file

FAKE = Options(engine="fake")


def silent(text: str) -> None:
    """Progress nobody reads."""


def bed_of(checkout: Checkout, engine: FakeEngine | None = None, instance: str = "") -> testbed.Testbed:
    """A handle of `tiny`, as another command would get it."""
    return testbed.Testbed(compose_file.load("tiny", checkout.root), checkout.root, engine or FakeEngine(), instance)


def says(status: int, output: str = "") -> Callable[[str, Sequence[str]], Completed]:
    """An answer to every command."""
    return lambda _, command: Completed(tuple(command), status, output, "")


def fails(wrong: BaseException) -> Callable[[Plan], object]:
    """What happens halfway: this."""

    def halfway(_: Plan) -> None:
        raise wrong

    return halfway


def test_up_makes_every_node_once_and_then_only_checks(checkout: Checkout) -> None:
    engine = FakeEngine()
    assert bed_of(checkout, engine).up(FAKE, silent) is True
    assert bed_of(checkout, engine).up(FAKE, silent) is False
    assert len(engine.plans) == 1
    assert bed_of(checkout, engine).is_up()


def test_a_testbed_costs_what_all_its_nodes_cost(checkout: Checkout) -> None:
    engine = FakeEngine()
    engine.costs = Usage(peak_memory=1000, cpu_seconds=0.5)
    bed = bed_of(checkout, engine)
    assert engine.usage(bed.project) == Usage(0, 0.0)
    bed.up(FAKE, silent)
    assert engine.usage(bed.project) == Usage(len(bed.scenario.nodes) * 1000, len(bed.scenario.nodes) * 0.5)


def test_what_it_was_brought_up_with_is_known_to_a_later_command(checkout: Checkout) -> None:
    engine = FakeEngine()
    bed_of(checkout, engine).up(Options(engine="fake", data_plane="user"), silent)
    assert bed_of(checkout, engine).options == Options(engine="fake", data_plane="user")


def test_other_options_than_it_is_up_with_are_refused_with_both(checkout: Checkout) -> None:
    engine = FakeEngine()
    bed_of(checkout, engine).up(Options(engine="fake", data_plane="user"), silent)
    with pytest.raises(
        BadInput, match=r"found .*--data-plane kernel, expected .*--data-plane user, which the running testbed has"
    ):
        bed_of(checkout, engine).up(Options(engine="fake", data_plane="kernel"), silent)
    assert bed_of(checkout, engine).is_up()


@pytest.mark.parametrize(
    "wrong", [KeyboardInterrupt(), EngineUnavailable("gone"), OSError(28, "No space"), SystemExit()]
)
def test_what_fails_halfway_is_told_and_leaves_nothing(checkout: Checkout, wrong: BaseException) -> None:
    checkout.configure("pki.yaml", GOOD)
    engine = FakeEngine(halfway=fails(wrong))
    bed = bed_of(checkout, engine)
    with pytest.raises(type(wrong)) as told:
        bed.up(FAKE, silent)
    assert told.value is wrong
    assert engine.states(bed.project) == {}
    assert not (checkout.root / ".tunnelbed").exists()


def test_the_first_failure_is_told_even_if_taking_down_fails_too(checkout: Checkout) -> None:
    class Stubborn(FakeEngine):
        def stop(self, project: str, state: Path) -> Mapping[str, int]:
            if not self.states(project):
                return super().stop(project, state)
            raise EngineUnavailable("stop fails")

    engine = Stubborn(halfway=fails(EngineUnavailable("start fails")))
    with pytest.raises(EngineUnavailable, match="start fails"):
        bed_of(checkout, engine).up(FAKE, silent)
    # What is left is still known, so that `down` can remove it.
    assert (checkout.root / ".tunnelbed" / "tiny" / "options.json").exists()


def test_networks_without_nodes_are_half_of_a_testbed_too(checkout: Checkout) -> None:
    engine = FakeEngine()
    bed = bed_of(checkout, engine)
    # As an `up` leaves them that was killed while it made them.
    engine._networks[bed.project] = ["inside", "outside"]
    said: list[str] = []
    bed.up(FAKE, said.append)
    assert "removed the rest of an interrupted start" in said
    assert engine.stopped == [bed.project]


def test_half_of_a_testbed_is_started_anew(checkout: Checkout) -> None:
    engine = FakeEngine()
    bed = bed_of(checkout, engine)
    bed.up(FAKE, silent)
    del engine._nodes[bed.project]["server"]
    assert not bed.is_up()
    assert bed.up(FAKE, silent) is True
    assert bed.is_up()
    assert len(engine.plans) == 2


def test_down_counts_what_it_removes_and_leaves_no_file(checkout: Checkout) -> None:
    checkout.configure("pki.yaml", GOOD)
    engine = FakeEngine()
    bed = bed_of(checkout, engine)
    bed.up(FAKE, silent)
    # A key for each of two leaves and two authorities.
    assert bed.down() == {"container": 3, "network": 2, "key": 4}
    assert not (checkout.root / ".tunnelbed").exists()
    assert engine.states(bed.project) == {}


def test_down_twice_is_no_failure(checkout: Checkout) -> None:
    bed = bed_of(checkout)
    assert set(bed.down().values()) == {0}
    assert set(bed.down().values()) == {0}


def test_keys_are_made_before_the_engine_starts_and_only_their_owner_may_look(checkout: Checkout) -> None:
    checkout.configure("pki.yaml", GOOD)
    checkout.configure("gateway/swanctl.conf", "")
    seen: list[tuple[bool, int]] = []

    def look(plan: Plan) -> None:
        (keys,) = plan.needs["gateway"].mounts
        key = keys.source / "private" / "gateway.pem"
        seen.append((key.exists(), stat.S_IMODE(keys.source.parent.stat().st_mode)))

    bed_of(checkout, FakeEngine(halfway=look)).up(FAKE, silent)
    assert seen == [(True, 0o700)]


def test_a_broken_pki_file_is_told_before_anything_is_started(checkout: Checkout) -> None:
    checkout.configure("pki.yaml", "leaves: {nobody: {}}")
    engine = FakeEngine()
    with pytest.raises(BadInput, match=r"^configs/tiny/pki\.yaml: root:"):
        bed_of(checkout, engine).up(FAKE, silent)
    assert engine.plans == []
    assert not (checkout.root / ".tunnelbed").exists()


def test_a_node_that_stops_is_told_with_its_own_words_at_once(checkout: Checkout) -> None:
    engine = FakeEngine()
    engine.exits.add("gateway")
    engine.words["gateway"] = "nftables.conf:3:9-12: Error: syntax error\n"
    with pytest.raises(NodeFailed, match=r"^gateway: nftables\.conf:3:9-12: Error: syntax error; correct ") as told:
        bed_of(checkout, engine).up(FAKE, silent)
    assert told.value.node == "gateway"


def test_a_node_that_is_dead_ends_the_wait(checkout: Checkout) -> None:
    engine = FakeEngine()
    engine.exits.add("gateway")
    engine.ends_as = "dead"
    with pytest.raises(NodeFailed, match=r"^gateway: is dead: .*up again"):
        bed_of(checkout, engine).up(FAKE, silent)


def test_a_node_that_never_says_it_is_ready_is_named(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "NODE_SECONDS", 0.05)
    engine = FakeEngine()
    engine.words["server"] = "still thinking"
    with pytest.raises(DeadlinePassed, match=r"every node to be ready; last seen: .*server") as told:
        bed_of(checkout, engine).up(FAKE, silent)
    assert "client" not in str(told.value)


def test_up_returns_only_when_every_node_s_check_passes(checkout: Checkout) -> None:
    tries = iter([1, 1, 0])
    asked: list[tuple[str, Sequence[str]]] = []

    def answer(node: str, command: Sequence[str]) -> Completed:
        asked.append((node, command))
        return Completed(tuple(command), next(tries), "", "")

    bed_of(checkout, FakeEngine(answer)).up(FAKE, silent)
    assert asked == [("client", ("ask", "once"))] * 3


def test_a_check_that_never_passes_is_told_and_the_testbed_stays_up(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.05)
    engine = FakeEngine(says(1, "no route to host"))
    for made in (True, False):
        with pytest.raises(
            ChecksFailed, match=r"the check of client does not pass: no route to host; it stays up"
        ) as f:
            bed_of(checkout, engine).up(FAKE, silent)
        assert (f.value.failed, f.value.made, f.value.code) == ({"client": "no route to host"}, made, 1)
    assert bed_of(checkout, engine).is_up()
    assert bed_of(checkout, engine).failing == ["client"]
    engine.answer = says(0)
    assert bed_of(checkout, engine).up(FAKE, silent) is False
    assert bed_of(checkout, engine).failing == ()
    bed_of(checkout, engine).down()
    assert not (checkout.root / ".tunnelbed").exists()


def test_who_interrupts_a_check_gets_it_taken_down(checkout: Checkout) -> None:
    def interrupted(_: str, command: Sequence[str]) -> Completed:
        raise KeyboardInterrupt

    engine = FakeEngine(interrupted)
    with pytest.raises(KeyboardInterrupt):
        bed_of(checkout, engine).up(FAKE, silent)
    assert not (checkout.root / ".tunnelbed").exists()


def test_two_checkouts_and_two_instances_have_projects_of_their_own(checkout: Checkout, tmp_path: Path) -> None:
    other = Checkout(tmp_path / "other")
    beds = [bed_of(checkout), bed_of(checkout, instance="2"), bed_of(other), bed_of(other, instance="2")]
    assert len({bed.project for bed in beds}) == 4
    assert len({bed.state for bed in beds}) == 4


def test_an_instance_is_not_taken_for_a_scenario_of_that_name(checkout: Checkout) -> None:
    checkout.write()
    (checkout.root / "compose" / "tiny-2.yaml").write_bytes((checkout.root / "compose" / "tiny.yaml").read_bytes())
    other = testbed.Testbed(compose_file.load("tiny-2", checkout.root), checkout.root, FakeEngine())
    assert other.project != bed_of(checkout, instance="2").project


def test_the_same_checkout_reached_by_another_path_is_the_same(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(checkout.root)
    linked = testbed.Testbed(compose_file.load("tiny", tmp_path / "link"), tmp_path / "link", FakeEngine())
    assert linked.project == bed_of(checkout).project


@pytest.mark.parametrize("instance", ["A", "a-b", "a.b", "../x", "x" * 13, " "])
def test_an_instance_s_name_is_letters_and_digits(checkout: Checkout, instance: str) -> None:
    with pytest.raises(BadInput, match="--instance"):
        bed_of(checkout, instance=instance)


def test_two_commands_on_one_testbed_wait_for_each_other(checkout: Checkout) -> None:
    inside, second = threading.Event(), threading.Event()
    started: list[float] = []

    def halfway(_: Plan) -> None:
        inside.set()
        # The other one would be done by now if nothing held it back.
        started.append(second.wait(0.3))

    engine = FakeEngine(halfway=halfway)
    first = threading.Thread(target=lambda: bed_of(checkout, engine).up(FAKE, silent))
    first.start()
    inside.wait(5)
    assert bed_of(checkout, engine).up(FAKE, silent) is False
    second.set()
    first.join()
    assert started == [False]
    assert len(engine.plans) == 1


def test_only_one_at_a_time_proves_a_testbed(checkout: Checkout) -> None:
    with bed_of(checkout).proven_alone():
        refused = r"^tiny: found another run of its features, .*, or use another copy .*instance=2.*$"
        with pytest.raises(BadInput, match=refused), bed_of(checkout).proven_alone():
            pass
        with bed_of(checkout, instance="2").proven_alone():
            pass
    with bed_of(checkout).proven_alone():
        pass
    assert not (checkout.root / ".tunnelbed").exists()


def test_a_testbed_that_is_proven_may_come_up_and_go_meanwhile(checkout: Checkout) -> None:
    engine = FakeEngine()
    with bed_of(checkout, engine).proven_alone():
        bed_of(checkout, engine).up(FAKE, silent)
        with pytest.raises(BadInput), bed_of(checkout, engine).proven_alone():
            pass
        bed_of(checkout, engine).down()
    assert not (checkout.root / ".tunnelbed").exists()
    bed_of(checkout, engine).up(FAKE, silent)
    with bed_of(checkout, engine).proven_alone():
        pass
    assert bed_of(checkout, engine).options == FAKE


def test_who_took_a_testbed_down_ends_no_other_s_proof(checkout: Checkout) -> None:
    engine = FakeEngine()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(bed_of(checkout, engine).proven_alone())
        bed_of(checkout, engine).down()
        second.enter_context(bed_of(checkout, engine).proven_alone())
        first.close()
        with pytest.raises(BadInput, match="another run of its features"), bed_of(checkout, engine).proven_alone():
            pass


def test_many_commands_at_once_all_end_and_the_last_leaves_nothing(checkout: Checkout) -> None:
    engine = FakeEngine()
    wrong: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(20):
                bed = bed_of(checkout, engine)
                if number % 2:
                    bed.up(FAKE, silent)
                else:
                    bed.down()
        except BaseException as told:  # noqa: BLE001 # told below, in the thread of the test
            wrong.append(told)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    bed_of(checkout, engine).down()
    assert not (checkout.root / ".tunnelbed").exists()


def test_a_file_in_the_place_of_a_testbed_s_folder_is_told_and_not_waited_for(checkout: Checkout) -> None:
    (checkout.root / ".tunnelbed").mkdir()
    (checkout.root / ".tunnelbed" / "tiny").touch()
    with pytest.raises(FileExistsError):
        bed_of(checkout).up(FAKE, silent)


def test_status_tells_of_every_node_up_or_not(checkout: Checkout) -> None:
    engine = FakeEngine()
    bed = bed_of(checkout, engine)
    assert [status.state for status in bed.status()] == ["down"] * 3
    engine.exits.add("server")
    with pytest.raises(NodeFailed):
        bed.up(FAKE, silent)
    engine.exits.clear()
    bed.up(FAKE, silent)
    assert {status.node: status.state for status in bed.status()} == dict.fromkeys(bed.scenario.nodes, "running")


def test_a_gateway_s_status_tells_who_does_esp_and_how_its_tunnels_are(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", "")
    host = FakeHost(FakeCharon(recorded("established")))
    host.answer = lambda _: "user\n"
    bed = bed_of(checkout)
    bed.agents = cast("Agents", SimpleNamespace(on=lambda _: host))
    bed.up(FAKE, silent)
    (gateway,) = [status for status in bed.status() if status.node == "gateway"]
    assert (gateway.data_plane, gateway.daemon) == ("user", "strongSwan 6.0.1")
    assert [tunnel.carries for tunnel in gateway.tunnels] == [True, True]
    shown = status_report.table(bed.status(), width=160)
    assert "site-a up, site-b up (ESP in user space)" in shown
    assert shown.count("user space") == 1


def test_a_gateway_that_has_chosen_no_data_plane_yet_is_not_said_to_have_one(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", "")
    host = FakeHost(FakeCharon())
    host.charon.listens = False
    bed = bed_of(checkout)
    bed.agents = cast("Agents", SimpleNamespace(on=lambda _: host))
    bed.up(FAKE, silent)
    (gateway,) = [status for status in bed.status() if status.node == "gateway"]
    assert (gateway.data_plane, gateway.daemon, gateway.tunnels) == ("", "", ())
    assert "user space" not in status_report.table([gateway], width=160)


def test_other_images_are_kept_with_the_testbed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.ENGINES, "fake", FAKE_ENGINE)
    scene = compose_file.load("tiny", checkout.root)
    bed = testbed.open_testbed(scene, checkout.root, "fake")
    bed.up(replace(FAKE, image="gateway=me/charon:dev"), silent)
    again = testbed.open_testbed(scene, checkout.root)
    assert {node.image for node in again.scenario.nodes.values()} == {"me/charon:dev", "example/node"}
    assert again.scenario.node("gateway").image == "me/charon:dev"
    assert "images gateway=me/charon:dev" in status_report.heading(again)
    with pytest.raises(BadInput, match=r"--image gateway=me/charon:dev, which the running testbed has"):
        bed.up(FAKE, silent)


def test_what_was_up_with_other_images_comes_up_without_them(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(engines, "connect", lambda *_: engine)
    scene = compose_file.load("tiny", checkout.root)
    first = testbed.open_testbed(scene, checkout.root, "fake")
    first.up(replace(FAKE, image="gateway=me/charon:dev"), silent)
    engine.stop(first.project, first.state)
    testbed.open_testbed(scene, checkout.root).up(FAKE, silent)
    assert [plan.scenario.nodes["gateway"].image for plan in engine.plans] == ["me/charon:dev", "example/node"]


def test_a_testbed_whose_images_were_made_anew_proves_nothing_about_them(checkout: Checkout) -> None:
    bed = bed_of(checkout, engine := FakeEngine())
    bed.up(FAKE, silent)
    bed.refuse_other_images()
    engine.images["example/node"] = "another:fake"
    told = "runs another image than the current example/node, expected the current one; take it down first"
    with pytest.raises(BadInput, match=told):
        bed.up(FAKE, silent)


@pytest.mark.parametrize("image", ["", "gateway=example/none"])
def test_an_image_that_is_not_there_is_told_with_who_named_it(checkout: Checkout, image: str) -> None:
    bed = bed_of(checkout, engine := FakeEngine())
    engine.images = {"example/node" if not image else "example/none": ""}
    where = "--image" if image else "compose/tiny.yaml: image"
    with pytest.raises(BadInput, match=rf"{where}: found example/no\w+, expected an image that the engine has"):
        bed.up(replace(FAKE, image=image), silent)
    assert not engine.plans


def test_an_unknown_node_is_answered_with_the_list(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match=r"--node: found 'gatewax', expected one of: client, gateway, server;"):
        bed_of(checkout).scenario.node("gatewax")


def test_a_testbed_is_found_again_whatever_became_of_its_files(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines.ENGINES, "fake", FAKE_ENGINE)
    beds = [bed_of(checkout), bed_of(checkout, instance="2")]
    for bed in beds:
        bed.up(FAKE, silent)
    checkout.write("services: [")
    with pytest.raises(BadInput):
        testbed.find(checkout.root)
    found = testbed.find(checkout.root, compose_file.named)
    assert [(bed.scenario.name, bed.instance) for bed in found] == [("tiny", ""), ("tiny", "2")]
    assert [bed.project for bed in found] == [bed.project for bed in beds]
    for bed in found:
        bed.down()
    assert not (checkout.root / ".tunnelbed").exists()


def test_a_testbed_is_found_by_what_an_interrupted_up_left_first(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing tells yet which engine it was to be: the default one is asked.
    monkeypatch.setitem(engines.ENGINES, "docker", FAKE_ENGINE)
    (checkout.root / ".tunnelbed" / "tiny" / "pki").mkdir(parents=True)
    (checkout.root / ".tunnelbed" / "tiny" / "options.json.new").write_text('{"eng', encoding="utf-8")
    (bed,) = testbed.find(checkout.root)
    bed.down()
    assert not (checkout.root / ".tunnelbed").exists()


def test_the_table_has_a_line_for_each_node_and_fits_any_width(checkout: Checkout) -> None:
    bed = bed_of(checkout)
    lines = status_report.table(bed.status(), width=100).splitlines()
    assert lines[0].split() == list(status_report.HEADINGS)
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == ["client", "gateway", "server"]
    for width in (20, 40, 250):
        assert max(map(len, status_report.table(bed.status(), width=width).splitlines())) <= width


STATE: tuple[str, str, str, str, str, tuple[()]] = (
    "running",
    "tunnelbed/node",
    "ESP",
    "kernel",
    "strongSwan 6.0.1",
    (),
)
RUNS = ("running", "none", "yet", "(ESP", "in", "the", "kernel)")


def test_the_table_cuts_nothing_short_and_has_a_line_for_each_node_in_a_pipe() -> None:
    addresses = ("fc00:4300:aaea::aaea/64", "fc00:4300:a::2/64")
    status = NodeStatus("gateway-a", "gateway", "a", addresses, *STATE)
    usual = status_report.table([status], width=80).split()
    assert set(usual) == {*status_report.HEADINGS, "gateway-a", "gateway", "a", *addresses, *RUNS}
    longer = NodeStatus("gateway-berlin", "gateway", "berlin", ("fc00:4300:aaea:1234:5678::aaea/64",), *STATE)
    assert "kernel)" in status_report.table([longer], width=80)
    assert "".join(status_report.table([status], width=40).split()).count("none") == 1
    assert status_report.table([status]).splitlines()[1].split() == [
        *("gateway-a", "gateway", "a", *addresses, "running"),
        *RUNS[1:],
    ]


@pytest.mark.parametrize("width", [None, 110])
def test_the_table_shows_addresses_and_names_as_they_are(width: int | None) -> None:
    addresses = ("fd00:100::1/64", "fd00:100:8ball:::a", "[bold]::1")
    status = NodeStatus("gateway[red]", "gateway", ":smile:", addresses, *STATE)
    shown = status_report.table([status], width=width).split()
    assert {*addresses, "gateway[red]", ":smile:"} <= set(shown)


def test_the_json_says_what_the_table_says_and_more(checkout: Checkout) -> None:
    bed = bed_of(checkout)
    (before,) = json.loads(status_report.as_json([bed]))
    assert (before["up"], before["options"], before["testbed"]) == (False, None, "tiny")
    bed.up(FAKE, silent)
    (after,) = json.loads(status_report.as_json([bed]))
    assert after["up"]
    assert after["options"]["engine"] == "fake"
    assert after["project"] == bed.project
    client = next(node for node in after["nodes"] if node["node"] == "client")
    assert client["addresses"] == ["10.1.0.3/16"]
    assert json.loads(status_report.as_json([])) == []


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"container": 10, "network": 7, "link": 0, "key": 1}, "removed 10 containers, 7 networks, 1 key"),
        ({"container": 0}, "nothing to remove"),
        ({}, "nothing to remove"),
    ],
)
def test_what_was_removed_is_counted_by_kind(counts: dict[str, int], told: str) -> None:
    assert status_report.removed(counts) == told


def test_asking_a_testbed_that_is_down_is_answered_with_what_to_do(checkout: Checkout) -> None:
    bed = bed_of(checkout)
    calls: list[Callable[[], object]] = [
        lambda: bed.engine.run(bed.project, "client", ["true"]),
        lambda: bed.engine.log(bed.project, "client"),
        lambda: bed.engine.terminal(bed.project, "client", ["sh"]),
    ]
    for call in calls:
        with pytest.raises(TunnelbedError, match=r"^client: does not run; bring the testbed up first$"):
            call()
