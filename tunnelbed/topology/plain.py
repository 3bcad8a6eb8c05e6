"""Whether a stack is plain, so that Compose need not resolve it.

Asking costs a tenth of a second, and so every command of Tunnelbed would. A file that uses only what is listed here,
without a variable, a short form or a number that YAML's two versions read differently, means the same to both:
tests/test_plain.py asks Compose and compares. Everything else is read as Compose resolves it (`stack`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import yaml

Check = Callable[[object], bool]
# What a service and a network may be called (compose-spec.json, patternProperties).
NAME = re.compile(r"[a-zA-Z0-9._-]+")
# A command that a shell splits at its spaces, and nowhere else.
WORDS = re.compile(r"[\w./:=,@%+-]+(?: [\w./:=,@%+-]+)*", re.ASCII)
CORE = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "bool", "null", "merge")}
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")


def is_plain(said: Mapping[object, object], root: yaml.Node | None) -> bool:
    """Whether a stack is read alike by us and by Compose; `root` is the same as it was written."""
    return (
        root is not None
        and _scalars_are_plain(root, set())
        and _mapping(said, {"name": _text, "services": _named(_service), "networks": _named(_network)})
    )


def _service(value: object) -> bool:
    return _mapping(
        value,
        {
            "image": _text,
            "command": _command,
            "cap_add": _texts,
            "cap_drop": _texts,
            "sysctls": _values,
            "environment": _values,
            "labels": _values,
            "privileged": _boolean,
            "healthcheck": lambda check: _mapping(check, {"test": _test, "interval": _text, "timeout": _text}),
            "networks": _joined,
        },
    )


def _network(value: object) -> bool:
    pool = {"subnet": _text}
    ipam = {"config": lambda pools: isinstance(pools, list) and all(_mapping(one, pool) for one in pools)}
    words: Mapping[str, Check] = {
        "driver": _text,
        "internal": _boolean,
        "enable_ipv6": _boolean,
        "labels": _values,
        "ipam": lambda said: _mapping(said, ipam),
    }
    return value is None or _mapping(value, words)


def _joined(value: object) -> bool:
    """The networks of a service: a list of names, or a mapping with addresses; not empty, which means a default."""
    addresses = {"ipv4_address": _text, "ipv6_address": _text}
    if isinstance(value, list):
        return bool(value) and _texts(value) and len(set(value)) == len(value)
    return bool(value) and _named(lambda at: at is None or _mapping(at, addresses))(value)


def _mapping(value: object, words: Mapping[str, Check]) -> bool:
    """A mapping with these words alone, and extensions (`x-...`) that nothing reads."""
    return isinstance(value, Mapping) and all(
        isinstance(word, str) and (word.startswith("x-") or (word in words and words[word](item)))
        for word, item in value.items()
    )


def _named(check: Check) -> Check:
    return lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(name, str) and NAME.fullmatch(name) and check(item) for name, item in value.items())
    )


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _boolean(value: object) -> bool:
    return isinstance(value, bool)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(_text(item) for item in value)


def _test(value: object) -> bool:
    return _texts(value) or _text(value)


def _command(value: object) -> bool:
    return _texts(value) or (isinstance(value, str) and WORDS.fullmatch(value) is not None)


def _values(value: object) -> bool:
    """Texts and whole numbers by name, or a list of NAME=VALUE."""
    if isinstance(value, list):
        names = [item.partition("=")[0] for item in value if _text(item) and "=" in item]
        return len(names) == len(value) == len(set(names)) and all(names)
    return isinstance(value, Mapping) and all(
        _text(name) and isinstance(item, str | int) and not isinstance(item, bool) for name, item in value.items()
    )


def _scalars_are_plain(node: yaml.Node, passed: set[int]) -> bool:
    """Whether every value below a node is the same in YAML 1.1, which we read, and 1.2, which Compose does."""
    if id(node) in passed:
        return True
    passed.add(id(node))
    if node.tag not in CORE:
        return False
    if isinstance(node, yaml.ScalarNode):
        return _scalar_is_plain(node)
    inner: Iterable[yaml.Node] = (
        [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    )
    return all(_scalars_are_plain(part, passed) for part in inner)


def _scalar_is_plain(node: yaml.ScalarNode) -> bool:
    # A variable, or the sign for a dollar.
    if "$" in node.value:
        return False
    match node.tag.rpartition(":")[2]:
        case "int":
            return INTEGER.fullmatch(node.value) is not None
        case "bool":
            return node.value in ("true", "false")
        case "str" if not node.style:
            return not _is_number(node.value)
        case _:
            return True


def _is_number(text: str) -> bool:
    """Whether some reader may take a text without quotes for a number."""
    for read in (float, lambda said: int(said, 0)):
        try:
            read(text)
        except ValueError:
            continue
        return True
    return False
