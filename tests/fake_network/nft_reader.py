"""The files and commands of nft(8), read into the tables of a node."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fake_network.nftables import Ruleset

PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "srcnat": 100}
TOKEN = re.compile(r'"[^"]*"|@th,\d+,\d+|[{};]|[^\s{};,"]+|,')


@dataclass
class Chain:
    """A chain, with its hook if it has one."""

    family: str
    table: str
    name: str
    type: str = ""
    hook: str = ""
    device: str = ""
    priority: int = 0
    policy: str = "accept"
    rules: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def called(self) -> str:
        """As a trace calls it."""
        return f"{self.family} {self.table} {self.name}"


class Reader:
    """Reads a file or a command of nft into a ruleset."""

    def __init__(self, rules: Ruleset, text: str) -> None:
        self.rules = rules
        # A line's end ends a rule, but not within a set.
        self.tokens: list[str] = []
        depth = 0
        for line in text.splitlines():
            found = TOKEN.findall(line)
            self.tokens += found
            depth = 0 if found[-1:] == ["{"] else depth
            if found and found[-1] not in ("{", ";"):
                self.tokens.append("\n")

    def all(self) -> None:
        while self.tokens:
            self.statement()

    def take(self, count: int = 1) -> list[str]:
        found, self.tokens = self.tokens[:count], self.tokens[count:]
        return found

    def statement(self) -> None:
        (word,) = self.take()
        match word:
            case "\n" | ";":
                pass
            case "flush":
                self.flush()
            case "delete" | "destroy":
                _, family, name = self.take(3)
                if word == "delete" or (family, name) in self.rules.tables:
                    self.drop_table(family, name)
            case "table":
                self.table(*self.take(2))
            case "chain":
                self.chain(*self.take(3))
            case "add" | "insert":
                self.add(word)
            case _:
                raise ValueError(f"Error: syntax error, unexpected {word}")

    def drop_table(self, family: str, name: str) -> None:
        if (family, name) not in self.rules.tables:
            raise ValueError("Error: Could not process rule: No such file or directory")
        self.rules.tables.discard((family, name))
        self.rules.chains = {key: one for key, one in self.rules.chains.items() if key[:2] != (family, name)}
        self.rules.sets = {key: one for key, one in self.rules.sets.items() if key[:2] != (family, name)}

    def flush(self) -> None:
        (what,) = self.take()
        if what == "ruleset":
            self.rules.chains, self.rules.tables, self.rules.sets = {}, set(), {}
        else:
            family, table, name = self.take(3)
            self.rules.chains[family, table, name].rules = []

    def add(self, how: str) -> None:
        (what,) = self.take()
        if what == "table":
            self.table(*self.take(2))
        elif what == "chain":
            self.chain(*self.take(3))
        else:
            family, table, name = self.take(3)
            rules = self.rules.chains[family, table, name].rules
            rules.insert(0 if how == "insert" else len(rules), self.rule())

    def rule(self) -> tuple[str, ...]:
        found: list[str] = []
        depth = 0
        while self.tokens:
            token = self.tokens[0]
            if token in ("\n", ";") and not depth:
                break
            if token == "}" and not depth:
                break
            depth += (token == "{") - (token == "}")
            found += self.take() if token != "\n" else self.take()[:0]
        return tuple(found)

    def table(self, family: str, name: str) -> None:
        self.rules.tables.add((family, name))
        if self.tokens[:1] != ["{"]:
            return
        self.take()
        while (word := self.take()[0]) != "}":
            if word == "chain":
                self.chain(family, name, *self.take())
            elif word == "set":
                self.rules.sets[family, name, self.take()[0]] = set()
                del self.tokens[: self.tokens.index("}") + 1]

    def chain(self, family: str, table: str, name: str) -> None:
        chain = self.rules.chains.setdefault((family, table, name), Chain(family, table, name))
        if self.tokens[:1] != ["{"]:
            return
        self.take()
        while self.tokens[0] != "}":
            words = self.rule()
            if words[:1] == ("type",):
                self.hook(chain, words)
            elif words[:1] == ("policy",):
                chain.policy = words[1]
            elif words:
                chain.rules.append(words)
            if self.tokens[0] in ("\n", ";"):
                self.take()
        self.take()

    def hook(self, chain: Chain, words: tuple[str, ...]) -> None:
        known = dict(zip(words[::2], words[1::2], strict=False))
        chain.type, chain.hook = known["type"], known["hook"]
        chain.device = known.get("device", "").strip('"')
        number = words[words.index("priority") + 1]
        rest = "".join(words[words.index("priority") + 2 :])
        chain.priority = PRIORITIES[number] if number in PRIORITIES else int(number)
        chain.priority += int(rest) if rest else 0
