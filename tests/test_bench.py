from __future__ import annotations

from pathlib import Path

import pytest

from tunnelbed.bench import expectations, phases, subjects, table
from tunnelbed.bench.machine import Meter, available_bytes, busy_seconds
from tunnelbed.bench.measured import Measured, Results, Runs, Series, average, short
from tunnelbed.bench.subjects import DOCKER, PLAIN, Subject
from tunnelbed.errors import BadInput
from tunnelbed.topology.model import Scenario
from tunnelbed.vpn.strongswan.daemon import first_times

VMS = "qemu, 512 MB and 2 CPUs a VM"


def seconds(name: str, *runs: float) -> Measured:
    return Measured(name, "s", runs)


def results() -> Results:
    """Two scenarios; the VMs take ten times as long as containers, and are emulated."""
    made = []
    for scenario, factor in (("one", 1.0), ("two", 3.0)):
        plain = (seconds(phases.UP, factor, 2 * factor), Measured(phases.NODES_MEMORY, "MB", (10.0, 10.0)))
        docker = (seconds(phases.UP, 2 * factor, 4 * factor), Measured(phases.NODES_MEMORY, "MB", (50.0, 60.0)))
        vms = (seconds(phases.UP, 20 * factor, 40 * factor), Measured(phases.NODES_MEMORY, "MB", (5000.0, 6000.0)))
        made += [
            Series(scenario, PLAIN.name, plain),
            Series(scenario, DOCKER.name, docker),
            Series(scenario, VMS, vms, emulated=True),
        ]
    return Results({"processors": "2 x a processor"}, tuple(made))


def test_a_quantity_is_told_by_its_middle_run_and_its_ends() -> None:
    assert table.figure(seconds("up", 3.0, 1.0, 2.0)) == "2 s (1 to 3)"
    assert table.figure(seconds("up", 3.0)) == "3 s"
    assert table.figure(None) == ""


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (0.01234, "0.0123"), (4.567, "4.57"), (999.4, "999"), (1234, "1230"), (98765, "98800")],
)
def test_figures_have_three_digits_and_no_exponent(value: float, told: str) -> None:
    assert short(value) == told


def test_a_ratio_is_taken_within_each_run() -> None:
    # The machine was three times slower in the second run, for both.
    assert seconds("ours", 2, 6, 2).against(seconds("floor", 1, 3, 1)) == 2
    # Of medians it would be 6.
    assert seconds("ours", 2, 6, 60).against(seconds("floor", 1, 1, 30)) == 2


def test_where_one_was_measured_less_often_the_medians_are_compared() -> None:
    assert seconds("ours", 4, 8, 6).against(seconds("floor", 2)) == 3


def test_scenarios_are_averaged_run_by_run() -> None:
    assert average([seconds("up", 1, 2, 9), seconds("up", 3, 6)]) == seconds("up", 2, 4)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results().save(tmp_path / "deep" / "bench.json")
    assert Results.load(tmp_path / "deep" / "bench.json") == results()


def test_what_was_never_measured_cannot_be_shown_again(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="without `--again` first"):
        Results.load(tmp_path / "bench.json")


def test_runs_keep_the_order_in_which_quantities_came() -> None:
    runs = Runs()
    for value in (1.0, 2.0):
        runs.add("up", value)
        runs.add("memory", value, "MB")
    assert runs.measured() == (seconds("up", 1, 2), Measured("memory", "MB", (1, 2)))


def rows(text: str) -> dict[str, list[str]]:
    """The table's rows by their first cell."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {first: rest for first, *rest in cells}


def test_table_1_has_the_paper_s_figures_beside_ours() -> None:
    first = rows(table.markdown(results()).split("\n\none:")[0])
    assert first["Docker Compose, the paper"] == ["", "", "75 s", "278 MB"]
    assert first["Vagrant and VirtualBox, 512 MB and 2 CPUs a VM, the paper"] == ["", "", "689 s", "4500 MB"]
    assert first["docker"] == ["", "6 s (4 to 8)", "", "55 MB (50 to 60)"]
    assert first["containers against VMs, the paper"] == ["", "", "0.11", "0.06"]
    assert first[f"docker against {VMS}, **software emulation**"] == ["", "0.10", "", "0.01"]


def test_emulation_is_said_wherever_such_a_figure_stands() -> None:
    said = table.markdown(results())
    assert VMS in said
    assert said.count(VMS) == said.count(f"{VMS}, **software emulation**")


def test_without_containers_there_is_nothing_to_compare_vms_with() -> None:
    alone = Results({}, tuple(one for one in results().series if one.subject != DOCKER.name))
    assert not any(row.startswith("docker against") for row in rows(table.markdown(alone)))


@pytest.mark.parametrize(
    ("facts", "emulated"),
    [({"accelerator": "software emulation"}, True), ({"accelerator": "KVM"}, False), ({"engine": "Docker"}, False)],
)
def test_an_engine_s_own_word_decides_whether_it_emulates(facts: dict[str, str], *, emulated: bool) -> None:
    assert subjects.is_emulated(facts) is emulated


def test_each_scenario_s_quantities_stand_against_plain_compose() -> None:
    compared = rows(table.compared(Results({}, results().series[:3])))
    assert compared["up"] == ["1.5 s (1 to 2)", "3 s (2 to 4), x 2.00", "30 s (20 to 40), x 20.00"]


def test_what_was_not_measured_in_every_scenario_has_no_average() -> None:
    found = results()
    extra = Series("two", DOCKER.name, (*found.series[4].measured, seconds(phases.BUILD, 30)))
    some = Results({}, (*found.series[:4], extra, found.series[5]))
    assert table.averaged(some, DOCKER.name, phases.BUILD) is None
    assert table.averaged(some, DOCKER.name, phases.UP) == seconds(phases.UP, 4, 8)


def test_subjects_are_engines_and_shapes_of_vms() -> None:
    assert subjects.subjects("docker") == [DOCKER]
    with pytest.raises(BadInput, match="found 'podman', expected some of: docker"):
        subjects.subjects("docker,podman")
    assert subjects.engines("--prove", "") == ["docker", "qemu"]
    with pytest.raises(BadInput, match=r"^--prove: found 'podman'"):
        subjects.engines("--prove", "podman")


def test_a_shape_of_vm_becomes_words_of_up() -> None:
    words = ("--engine", "qemu", "--memory", "128", "--cpus", "1")
    assert list(subjects.of("qemu", "512x2, 128x1"))[1] == Subject("qemu, 128 MB and 1 CPU a VM", "qemu", words)


@pytest.mark.parametrize("shape", ["", "512", "512x", "0x1", "512x2,", "512 MB"])
def test_a_shape_that_is_none_is_refused(shape: str) -> None:
    with pytest.raises(BadInput, match="expected MEGABYTESxPROCESSORS"):
        list(subjects.of("qemu", shape))


LOG = """\
2026-11-24T06:01:15.100 08[IKE] <site-b|1> initiating IKE_SA site-b[1] to 172.28.28.28
2026-11-24T06:01:15.730 10[IKE] <site-b|1> CHILD_SA site-b{3} established with SPIs 1a_i 7c_o and TS 10.3.0.0/16
2026-11-24T06:01:15.952 15[IKE] <site-a|2> CHILD_SA site-a{4} established with SPIs 68_i eb_o and TS 10.3.0.0/16
2026-11-24T06:09:00.000 15[IKE] <site-a|7> CHILD_SA site-a{9} established with SPIs 68_i eb_o and TS 10.3.0.0/16
"""


def test_a_tunnel_is_established_when_charon_says_so_for_the_first_time() -> None:
    times = first_times(LOG)
    assert set(times) == {("site-a", "site-a"), ("site-b", "site-b")}
    assert times["site-a", "site-a"] - times["site-b", "site-b"] == pytest.approx(0.222)
    assert times["site-b", "site-b"] == pytest.approx(1795500075.73)


def scene_with(features: Path, text: str) -> Scenario:
    features.mkdir()
    (features / "a.feature").write_text("@scenario.other\nFeature: x\n  Scenario: x\n    Then a can reach b\n")
    (features / "b.feature").write_text(text)
    return Scenario("tiny", features, features, features, {}, {})


def test_the_first_sentences_are_this_scenario_s_about_traffic_with_nothing_changed_before(tmp_path: Path) -> None:
    text = """\
@scenario.tiny
Feature: x
  Scenario: Nothing of traffic
    Then every client has exactly the capabilities NET_RAW
  Scenario: Something changes first
    Given client A1 can reach the server
  Scenario: This one
    Then client A1 can reach the server
"""
    scene = scene_with(tmp_path / "features", text)
    assert expectations.first(scene) == f"{tmp_path}/features/b.feature:7"


def test_a_scenario_without_such_a_sentence_is_told_what_to_write(tmp_path: Path) -> None:
    scene = scene_with(tmp_path / "features", "@scenario.tiny\nFeature: x\n  Scenario: x\n    Given nothing\n")
    with pytest.raises(BadInput, match="begins with `Then"):
        expectations.first(scene)


def test_expectations_are_told_apart_by_what_they_say(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("""[{"elements": [{"steps": [
        {"name": "client A1 cannot reach the server", "result": {"status": "passed", "duration": 0.1}},
        {"name": "client A1 can reach the server", "result": {"status": "passed", "duration": 0.2}},
        {"name": "client A2 can reach the server", "result": {"status": "failed", "duration": 9}},
        {"name": "gateway A has a tunnel", "result": {"status": "passed", "duration": 9}},
        {"name": "client A1 can reach the server"}]}]}]""")
    assert expectations.by_kind(report) == [("a negative expectation", 0.1), ("a positive expectation", 0.2)]


def proc(folder: Path, *, busy: int, available: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "stat").write_text(f"cpu  {busy} 0 0 5000 700 0 0 0 99 99\ncpu0 1 1 1 1\n")
    (folder / "meminfo").write_text(f"MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:   {available} kB\n")
    return folder


def test_the_machine_s_work_leaves_idle_waiting_and_guests_out(tmp_path: Path) -> None:
    once = busy_seconds(proc(tmp_path, busy=100, available=1))
    assert busy_seconds(proc(tmp_path, busy=300, available=1)) == pytest.approx(3 * once)
    assert available_bytes(proc(tmp_path, busy=0, available=7)) == 7168


def test_a_meter_keeps_the_least_memory_that_was_available(tmp_path: Path) -> None:
    with Meter(proc(tmp_path, busy=0, available=1000)) as meter:
        proc(tmp_path, busy=100, available=400)
        meter.stop()
        proc(tmp_path, busy=900, available=100)
    assert meter.peak_memory == 600 * 1024
    assert meter.cpu_seconds == busy_seconds(proc(tmp_path, busy=100, available=1))
