"""Options: each declared once, read from texts, kept whole, and never taken for others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest

from tunnelbed.engines.docker import engine as docker
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.engines.qemu.engine import QemuEngine
from tunnelbed.errors import BadInput
from tunnelbed.testbed import options as given
from tunnelbed.testbed.options import DEFAULT, OPTIONS, Option, Options, Ports, Root
from tunnelbed.topology.model import LAST_PORT

ALL = Options("qemu", "bridge", "user", "linux/arm64", nested=True, memory=256, cpus=2, image="server=me/a")
TYPED = {
    "engine": "qemu",
    "driver": "bridge",
    "data_plane": "user",
    "platform": "linux/arm64",
    "nested": "yes",
    "memory": "256",
    "cpus": "2",
    "image": " server = me/a ",
}


def test_what_is_typed_becomes_options_and_settings_for_behave_become_the_same() -> None:
    asked = given.asked(TYPED)
    assert asked.options == ALL
    assert given.asked(asked.settings) == asked


def test_what_is_not_typed_is_as_by_default_and_counts_as_not_given() -> None:
    asked = given.asked({"engine": "", "data_plane": "user"})
    assert asked.options == replace(DEFAULT, data_plane="user")
    assert list(asked.given) == ["data_plane"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("engine", "docker2", "--engine: found 'docker2', expected one of: docker, qemu; choose one of them"),
        ("driver", "vlan", "--driver: found 'vlan', expected one of: macvlan, bridge, ipvlan; choose one of them"),
        ("data_plane", "kernal", "--data-plane: found 'kernal', expected one of: auto, kernel, user; choose one of"),
        ("nested", "maybe", "--nested: found 'maybe', expected yes or no; correct it"),
        ("memory", "1.5G", "--memory: found '1.5G', expected a whole number; correct it"),
        ("cpus", "0", "--cpus: found '0', expected 1 or more; correct it"),
        ("image", "me/a", "--image: found 'me/a', expected WHO=IMAGE"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_option(name: str, text: str, told: str) -> None:
    with pytest.raises(BadInput) as wrong:
        given.asked({name: text})
    assert str(wrong.value).startswith(told)


def takes(
    ports: Ports,
    from_: Annotated[int, Option("a port", least=1, most=LAST_PORT)] = 0,
    seconds: Annotated[float, Option("how long")] = 0,
    path: Root = Path(),
    *,
    other: str = "",
) -> None:
    del ports, from_, seconds, path, other


DECLARED = given.declared(takes)


def test_a_function_s_options_are_those_that_are_declared() -> None:
    assert [option.flag for option in DECLARED.values()] == ["--ports", "--from", "--seconds", "--path"]
    assert [option.required for option in DECLARED.values()] == [True, False, False, False]
    assert DECLARED["from_"].option.help == "a port"


@pytest.mark.parametrize(
    ("name", "text", "value"), [("ports", "22, 8080", [22, 8080]), ("from_", "443", 443), ("seconds", "1.5", 1.5)]
)
def test_a_text_becomes_a_value_of_the_declared_type(name: str, text: str, value: Any) -> None:  # noqa: ANN401
    assert DECLARED[name].value(text) == value


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("from_", "70000", "--from: found '70000', expected 1 to 65535; correct it"),
        ("from_", "0", "--from: found '0', expected 1 to 65535; correct it"),
        ("seconds", "-1", "--seconds: found '-1', expected 0 or more; correct it"),
        ("seconds", "nan", "--seconds: found 'nan', expected 0 or more; correct it"),
        ("ports", "22,70000", "--ports: found '22,70000', expected ports, 1 to 65535, separated by commas; correct it"),
        ("ports", "²", "--ports: found '²', expected ports, 1 to 65535, separated by commas; correct it"),
        ("path", "/nonexistent", "--path: found /nonexistent, expected a folder with compose/ in it"),
    ],
)
def test_a_text_that_is_none_of_its_values_is_refused(name: str, text: str, told: str) -> None:
    with pytest.raises(BadInput) as wrong:
        DECLARED[name].value(text)
    assert str(wrong.value).startswith(told)


def test_options_are_kept_with_a_version_and_read_again(tmp_path: Path) -> None:
    assert given.kept(tmp_path) is None
    given.write(ALL, tmp_path)
    assert json.loads((tmp_path / "options.json").read_text())["version"] == given.VERSION
    assert given.kept(tmp_path) == ALL
    assert [path.name for path in tmp_path.iterdir()] == ["options.json"]


def test_options_from_before_there_were_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text('{"engine": "qemu", "memory": 256}')
    assert given.kept(tmp_path) == Options("qemu", memory=256)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"engine": "qemu", "colour": "red"}', "options.json: colour: found it"),
        ('{"version": 2, "engine": "qemu"}', "options.json: version: found 2, expected 1"),
        ('{"version": null, "engine": "qemu"}', "options.json: version: found None, expected 1"),
        ('{"engine": "qemu", "memory": "256"}', "options.json: memory: found '256', expected a value of type int"),
        ('{"engine": 5}', "options.json: engine: found 5"),
        ('{"eng', "options.json: found "),
        ("[]", "options.json: found list, expected an object"),
        ("\x00", "options.json: found "),
    ],
)
def test_what_cannot_be_read_is_never_taken_for_nothing_kept(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(BadInput) as wrong:
        given.kept(tmp_path)
    assert where in str(wrong.value)
    assert "invoke down --scenario NAME --engine ENGINE" in str(wrong.value)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="expected a file that can be read"):
        given.kept(tmp_path)


def test_differing_options_are_told_as_they_are_typed() -> None:
    differing = given.differing(ALL, DEFAULT)
    assert [option.name for option in differing] == list(OPTIONS)
    assert given.words(ALL, differing[:5]) == (
        "--engine qemu --driver bridge --data-plane user --platform linux/arm64 --nested"
    )
    assert given.words(DEFAULT, differing[:2]) == "--engine docker no --driver"
    assert given.differing(ALL, replace(ALL, cpus=3)) == [OPTIONS["cpus"]]


@pytest.mark.parametrize(
    ("options", "engine", "told"),
    [
        (Options(memory=256), docker.DockerEngine, "--memory: found 256, expected --engine qemu; omit it"),
        (Options(cpus=2), docker.DockerEngine, "--cpus: found 2, expected --engine qemu; omit it"),
        (Options("qemu", driver="bridge"), QemuEngine, "--driver: found bridge, expected --engine docker; omit it"),
        (Options("qemu", nested=True), QemuEngine, "--nested: found it, expected --engine docker; omit it"),
        (Options("qemu", image="a=b"), QemuEngine, "--image: found a=b, expected --engine docker; omit it"),
    ],
)
def test_an_option_of_another_engine_s_is_refused(options: Options, engine: Any, told: str) -> None:  # noqa: ANN401
    with pytest.raises(BadInput) as wrong:
        given.refuse_foreign(options, engine)
    assert str(wrong.value) == told


def test_an_engine_takes_its_own_options() -> None:
    given.refuse_foreign(Options("docker", "bridge", "user", "linux/arm64", nested=True, image="a=b"), FakeEngine())
    given.refuse_foreign(Options("fake"), FakeEngine())


def test_each_engine_takes_only_options_that_there_are() -> None:
    for engine in (docker.DockerEngine, QemuEngine, FakeEngine):
        assert set(engine.takes) <= set(OPTIONS)
