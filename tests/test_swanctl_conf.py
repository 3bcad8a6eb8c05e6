"""The reader of swanctl.conf: what strongSwan would load, and where in the text each value stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunnelbed.errors import BadInput
from tunnelbed.vpn.strongswan import swanctl_conf
from tunnelbed.vpn.strongswan.swanctl_conf import Conf, Place, Section, Setting


def conf_of(folder: Path, text: str, **included: str) -> Conf:
    """A folder with this swanctl.conf and other files, named `conf_d__a` for conf.d/a.conf."""
    for name, said in included.items():
        path = folder / f"{name.replace('__', '/').replace('_', '.')}.conf"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(said)
    (folder / "swanctl.conf").write_text(text)
    return swanctl_conf.read(folder / "swanctl.conf")


def values(conf: Conf, *keys: str) -> list[str]:
    return [setting.value for setting in conf.settings(*keys)]


def text_at(place: Place) -> str:
    return place.file.read_text()[place.start : place.end]


def test_sections_on_one_line_are_read(tmp_path: Path) -> None:
    conf = conf_of(tmp_path, "connections { a { local { id = me } remote { revocation = strict } } }")
    assert [(found.sections, found.key, found.value) for found in conf.settings()] == [
        (("connections", "a", "local"), "id", "me"),
        (("connections", "a", "remote"), "revocation", "strict"),
    ]


def test_comments_end_a_value_and_hide_everything_behind_them(tmp_path: Path) -> None:
    conf = conf_of(tmp_path, "a {\n  # id = x }\n  id = me # and { more }\n  vips = # none\n}\n")
    assert values(conf) == ["me", ""]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("C=FI, O=Foo {Bar} Oy", None),
        ('"C=FI, O=Foo {Bar} Oy"', "C=FI, O=Foo {Bar} Oy"),
        ('"a # b"', "a # b"),
        (r'"say \"hi\""', 'say "hi"'),
        ("one   two", "one two"),
        ('a "b  c" d', "a b  c d"),
        ("10.1.0.0/16[tcp/80], fd00::/8", "10.1.0.0/16[tcp/80], fd00::/8"),
        ("C=FI, O=ACME dept=net", "C=FI, O=ACME dept=net"),
    ],
)
def test_values_are_read_as_strongswan_reads_them(tmp_path: Path, written: str, read: str | None) -> None:
    text = f"a {{\n  id = {written}\n}}\n"
    if read is None:
        with pytest.raises(BadInput, match="line 2: found Oy"):
            conf_of(tmp_path, text)
        return
    (found,) = conf_of(tmp_path, text).settings("id")
    assert found.value == read
    assert text_at(found.place) == written
    assert text_at(found.whole) == f"id = {written}"


def test_a_bracket_may_open_in_the_next_line(tmp_path: Path) -> None:
    assert values(conf_of(tmp_path, "connections\n{\n  a\n  {\n    version=2\n  }\n}\n")) == ["2"]


def test_what_is_included_stands_where_its_include_stands(tmp_path: Path) -> None:
    conf = conf_of(
        tmp_path,
        'connections {\n  include conf.d/*.conf\n}\ninclude "other.conf"\n',
        conf_d__b="b { version = 2 }",
        conf_d__a="a {\n version = 1\n include more/deep.conf\n}",
        conf_d__more__deep="proposals = x",
        other="secrets { }",
    )
    assert [setting.sections for setting in conf.settings()] == [
        ("connections", "a"),
        ("connections", "a"),
        ("connections", "b"),
    ]
    assert [section.path for section in conf.sections("connections")] == [("connections", "a"), ("connections", "b")]
    assert [path.name for path in conf.files] == ["swanctl.conf", "a.conf", "deep.conf", "b.conf", "other.conf"]
    deep = next(iter(conf.settings("proposals")))
    assert deep.place.file == tmp_path / "conf.d/more/deep.conf"


@pytest.mark.parametrize("root", ["/etc/swanctl", "/etc/tunnelbed/node"])
def test_a_node_s_own_paths_lead_to_its_folder(tmp_path: Path, root: str) -> None:
    assert values(conf_of(tmp_path, f"include {root}/conf.d/*.conf", conf_d__a="a { id = me }")) == ["me"]


def test_what_only_the_node_can_read_is_named(tmp_path: Path) -> None:
    assert conf_of(tmp_path, "include /usr/share/x/*.conf\n").unread == ("/usr/share/x/*.conf",)


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    assert values(conf_of(tmp_path, "a { id = me }\ninclude swanctl.conf\n"))[0] == "me"


def test_a_name_that_begins_like_include_is_a_setting(tmp_path: Path) -> None:
    assert values(conf_of(tmp_path, "include = yes\nincluded = no\n"), "include", "included") == ["yes", "no"]


def test_of_sections_that_stand_twice_the_later_value_holds(tmp_path: Path) -> None:
    tree = conf_of(tmp_path, "connections { a { version = 1\n dpd_delay = 3s } a { version = 2 } }\n").tree()
    assert tree.sections["a"].values == {"version": "2", "dpd_delay": "3s"}


def test_references_bring_what_a_section_does_not_say(tmp_path: Path) -> None:
    text = """
    base : deeper {
        version = 1
        proposals = x
        children { net { start_action = start } }
    }
    deeper { proposals = y
        rekey_time = 1h }
    connections {
        a : base {
            version = 2
            children { net { mode = tunnel } }
        }
    }
    """
    conf = conf_of(tmp_path, text)
    a = conf.tree().sections["a"]
    assert a.values == {"version": "2", "proposals": "x", "rekey_time": "1h"}
    assert a.sections["children"].sections["net"].values == {"mode": "tunnel", "start_action": "start"}
    assert [section.references for section in conf.sections("connections")] == [("base",)]


def test_references_in_a_circle_end(tmp_path: Path) -> None:
    tree = conf_of(tmp_path, "b : c { x = 1 }\nc : b { y = 2\n inner : c { } }\nconnections { a : b { } }\n").tree()
    assert tree.sections["a"].values == {"x": "1", "y": "2"}


def test_a_section_has_its_place(tmp_path: Path) -> None:
    (found,) = conf_of(tmp_path, "connections {\n  a { id = x }\n}\n").sections("connections")
    assert (text_at(found.place), text_at(found.body), found.name) == ("a { id = x }", " id = x ", "a")


def test_a_section_comes_before_what_is_in_it(tmp_path: Path) -> None:
    kinds = [type(found) for found in conf_of(tmp_path, "a { x = 1\n b { y = 2 } }").statements]
    assert kinds == [Section, Setting, Section, Setting]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a {\n b = c\n", r"line 1: found no } for a {"),
        ("a { }\n}\n", r"line 2: found }"),
        ("a {\n lonely\n}\n", r"line 2: found lonely, expected `lonely = value` or `lonely {`"),
        ('a = "open\n', r"line 1: found a quote that is not closed"),
    ],
)
def test_what_strongswan_would_refuse_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        conf_of(tmp_path, text)
