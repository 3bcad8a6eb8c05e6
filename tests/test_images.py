"""Images without an engine: tags, names, and what is said when one cannot be made."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelbed.engines.images import bake, binfmt, node_images, rootfs
from tunnelbed.errors import BadInput, EngineUnavailable, ImageFailed


def test_a_tag_is_twelve_digits_of_what_the_image_is_made_from() -> None:
    assert re.fullmatch(r"tunnelbed/node:[0-9a-f]{12}", node_images.node_image())
    assert (
        node_images.node_image("node-nested").removeprefix("tunnelbed/node-nested:") == node_images.node_image()[-12:]
    )


def test_node_scripts_are_laid_out_for_anybody_to_read_whatever_a_checkout_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    for name, mode in (("boot", 0o700), ("settings", 0o600)):
        (kept / name).write_text(name)
        (kept / name).chmod(mode)
    monkeypatch.setattr(node_images, "NODE_SCRIPTS", kept)
    for _ in range(2):
        node_images.lay_out(made := tmp_path / "made")
    assert {path.name: path.stat().st_mode & 0o777 for path in (made, *made.iterdir())} == {
        "made": 0o755,
        "boot": 0o755,
        "settings": 0o644,
    }


def test_a_foreign_platform_has_a_tag_of_its_own() -> None:
    assert node_images.node_image("node", "linux/arm/v7") == f"{node_images.node_image()}-arm-v7"


@pytest.mark.parametrize("change", ["content", "name", "mode"])
def test_whatever_changes_in_the_sources_changes_the_tag(tmp_path: Path, change: str) -> None:
    script = tmp_path / "node" / "boot"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    before = node_images.fingerprint([script.parent], tmp_path)
    if change == "content":
        script.write_text("#!/bin/sh\nexit\n")
    elif change == "name":
        script.rename(script.with_name("start"))
    else:
        script.chmod(0o755)
    assert node_images.fingerprint([script.parent], tmp_path) != before


def test_what_python_leaves_behind_does_not_change_the_tag(tmp_path: Path) -> None:
    (tmp_path / "boot").write_text("#!/bin/sh\n")
    before = node_images.fingerprint([tmp_path], tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "boot.pyc").write_bytes(b"compiled")
    assert node_images.fingerprint([tmp_path], tmp_path) == before


def test_an_unknown_platform_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"found linux/mips, expected one of .*linux/arm64"):
        node_images.known_platform("linux/mips")


@pytest.mark.parametrize("name", ["Bad_REF//x", "registry.example/", "/x", "registry.example/Me", "x y", "-x"])
def test_a_name_no_registry_takes_is_refused_before_anything_is_built(name: str) -> None:
    with pytest.raises(BadInput, match="--push"):
        node_images.build(push=name)


@pytest.mark.parametrize("name", ["me", "registry.example/me", "localhost:5000/a/b-c_d", "192.0.2.1:5000/x"])
def test_a_name_a_registry_takes_is_accepted(name: str) -> None:
    assert node_images.REPOSITORY.fullmatch(name)


def test_an_archive_in_no_folder_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="make the folder first"):
        node_images.build(output=tmp_path / "absent" / "x.tar")


def test_pushing_and_writing_at_once_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="one destination"):
        node_images.build(push="registry.example/me", output=tmp_path / "x.tar")


def test_without_an_engine_a_person_is_told_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"docker is not installed; run scripts/setup"):
        node_images.ensure()


def test_only_the_steps_that_work_are_told_and_each_once() -> None:
    said = [
        "#1 [internal] load build definition from Dockerfile",
        "#1 DONE 0.0s",
        "#7 [node packages 1/2] RUN apt-get update",
        "#8 [node bootstrap 1/1] ADD rootfs-amd64.tar /",
        "#8 CACHED",
        "#7 0.312 Get:1 trixie",
        "#7 [node packages 1/2] RUN apt-get update",
        "#7 0.400 Get:2 trixie",
        "#9 exporting to image",
        "#9 exporting layers 0.1s done",
        "#9 exporting manifest sha256:00 done",
        "",
    ]
    assert list(bake.running(said)) == ["[node packages 1/2] RUN apt-get update", "exporting to image"]


@given(st.lists(st.text(max_size=80)))
def test_no_output_of_a_builder_breaks_the_progress(said: list[str]) -> None:
    assert len(list(bake.running(said))) <= len(said)


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("https://git.example/tunnelbed", "https://git.example/tunnelbed"),
        ("https://me:secret@git.example/tunnelbed", "https://git.example/tunnelbed"),
        ("/srv/git/tunnelbed", ""),
        ("git@git.example:tunnelbed", ""),
        ("", ""),
    ],
)
def test_a_label_tells_neither_a_password_nor_a_path(address: str, label: str) -> None:
    assert bake.public(address) == label


def test_a_builder_says_what_it_runs() -> None:
    inspected = "Name: default\nPlatforms: linux/amd64*, linux/amd64/v2, linux/arm64\nLabels:\n"
    assert binfmt.runnable(inspected) == {"linux/amd64", "linux/amd64/v2", "linux/arm64"}
    assert binfmt.runnable("Name: default\n") == frozenset()


def test_the_machines_own_debian_mirrors_serve_the_images_suite() -> None:
    apt = """\
Debian|http://mirror.example/debian/|bookworm|main
Debian|http://mirror.example/debian/|bookworm|contrib
Debian|http://mirror.example/debian/|bookworm-updates|main
Debian|http://mirror.example/debian/|bookworm-backports|main
Debian|http://mirror.example/debian-security/|bookworm-security|main
Debian|http://mirror.example/debian/|trixie|main
Somebody|http://other.example/|bookworm|main
"""
    assert rootfs.sources(apt) == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://mirror.example/debian-security/ trixie-security main",
    ]


def test_a_mirror_that_is_named_is_the_only_source() -> None:
    apt = "Debian|http://mirror.example/debian/|bookworm|main\n"
    assert rootfs.sources(apt, "http://dated.example/debian") == ["deb http://dated.example/debian trixie main"]


def test_a_machine_of_another_distribution_leaves_the_choice_to_mmdebstrap() -> None:
    assert rootfs.sources("Ubuntu|http://mirror.example/ubuntu/|noble|main\n") == []


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("#9 1.2 dpkg: error: no space left on device\nERROR: exit code: 100", "no space is left on the disk"),
        ("E: Failed to fetch http://m/x  Could not connect to m:80", "the package mirror does not answer"),
        ("#5 0.1 exec /bin/sh: exec format error", "no emulator runs that architecture"),
        ('ERROR: failed to push r/x: HEAD "http://r": 401 Unauthorized', "the registry refuses the push"),
        ("ERROR: failed to push r/x: dial tcp: connection refused", "the registry does not take the push"),
        ("first\nERROR: failed to solve: something new\nlast", "failed to solve: something new"),
        ("something new", "something new"),
        ("", "it printed nothing"),
    ],
)
def test_a_failed_build_is_told_in_one_line_by_its_cause(output: str, cause: str) -> None:
    said = rootfs.reason(output)
    assert said.startswith(cause)
    assert "\n" not in said


@given(st.text(max_size=200))
def test_any_output_becomes_one_line(output: str) -> None:
    assert len(rootfs.reason(output).splitlines()) == 1


def test_the_recipe_takes_nothing_from_a_front_end_in_a_registry() -> None:
    assert "# syntax=" not in (bake.RECIPE / "Dockerfile").read_text()


def test_every_script_of_a_node_is_executable_or_data() -> None:
    for path in node_images.NODE_SCRIPTS.iterdir():
        if path.is_file() and path.read_bytes().startswith(b"#!"):
            assert os.access(path, os.X_OK), path


def test_a_base_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    said: list[str] = []
    made = rootfs.rootfs_folder(tmp_path, ["deb http://mirror.example/debian trixie main"])
    made.mkdir()
    (made / "rootfs-arm64.tar").touch()
    with pytest.MonkeyPatch.context() as machine:
        machine.setenv(rootfs.MIRROR_VARIABLE, "http://mirror.example/debian")
        assert rootfs.bootstrap("linux/arm64", tmp_path, said.append) == made
    assert not said


def test_a_machine_without_mmdebstrap_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("mmdebstrap") is None
    with pytest.raises(ImageFailed, match="mmdebstrap is not installed"):
        rootfs.bootstrap("linux/amd64", tmp_path, print)
    assert not list(tmp_path.iterdir())
