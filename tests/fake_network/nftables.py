"""nftables, as much of it as the scenarios' files and the tests' breaks use: read, changed, and asked about packets.

A rule is kept in its own words and read when a packet comes. Words that are not known raise `ValueError`: a rule that
is taken for nothing would be a wrong firewall.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.fake_network.nft_reader import Chain, Reader
from tests.fake_network.nft_words import same

VERDICTS = ("accept", "drop", "reject", "return", "continue")


@dataclass(frozen=True)
class Decision:
    """What a hook made of a packet: `accept`, `drop` or `reject`, and to which address and port it is translated."""

    verdict: str = "accept"
    translation: tuple[str, str] | None = None


class Ruleset:
    """The tables of one node."""

    def __init__(self) -> None:
        self.chains: dict[tuple[str, str, str], Chain] = {}
        self.tables: set[tuple[str, str]] = set()
        # What rules have added to the sets of tables.
        self.sets: dict[tuple[str, str, str], set[int]] = {}
        self._counters: dict[tuple[str, ...], int] = {}

    def read(self, text: str) -> None:
        """Take a file of nft(8), or one command."""
        text = re.sub(r"#.*", "", text)
        defined: dict[str, str] = {}

        def define(match: re.Match[str]) -> str:
            defined[match[1]] = match[2].strip()
            return ""

        text = re.sub(r"^[ \t]*define (\w+) = (.*)$", define, text, flags=re.MULTILINE)
        text = re.sub(r"\$(\w+)", lambda match: defined[match[1]], text)
        Reader(self, text).all()

    def command(self, words: Sequence[str]) -> None:
        """Take the arguments of nft."""
        self.read(" ".join(words))

    def on(self, hook: str, family: str, device: str = "") -> Sequence[Chain]:
        """The chains that see a packet of a family at a hook, in the order in which they do."""
        found = [
            chain
            for chain in self.chains.values()
            if chain.hook == hook and chain.family in ("inet", family) and chain.device == device
        ]
        return sorted(found, key=lambda chain: chain.priority)

    def egress(self, device: str, hook: str = "egress") -> Sequence[Chain]:
        """The chains that see what leaves by a device, or enters by it."""
        return [chain for chain in self.chains.values() if chain.hook == hook and chain.device == device]

    def listed(self) -> Iterator[Mapping[str, object]]:
        """The chains as `nft -j list chains` lists them."""
        for chain in self.chains.values():
            said: dict[str, object] = {"family": chain.family, "table": chain.table, "name": chain.name}
            if chain.hook:
                said |= {"type": chain.type, "hook": chain.hook, "prio": chain.priority, "policy": chain.policy}
            yield {"chain": said}

    def counted(self, rule: tuple[str, ...]) -> int:
        """How often a rule was asked before (`numgen inc`)."""
        number = self._counters.get(rule, 0)
        self._counters[rule] = number + 1
        return number

    def decide(self, chain: Chain, packet: Packet, told: Callable[[str], None]) -> Decision:
        """What a chain that has a hook makes of a packet; `told` gets the lines of its trace."""
        made = self._through(chain, packet, told)
        if made is None:
            told(f"{chain.called} policy {chain.policy}")
            return Decision(chain.policy)
        return made

    def _through(self, chain: Chain, packet: Packet, told: Callable[[str], None]) -> Decision | None:
        for rule in chain.rules:
            words = " ".join(rule).replace(" , ", ", ").replace("{ ", "{ ").strip()
            effect = Rule(self, chain, rule, packet).effect()
            if effect is None:
                continue
            verb, argument = effect
            shown = verb if verb not in ("jump", "goto") else f"{verb} {argument}"
            told(f"{chain.called} rule {words} (verdict {'accept' if verb in TRANSLATES else shown})")
            if verb in ("jump", "goto"):
                made = self._through(self.chains[chain.family, chain.table, argument], packet, told)
                if made is not None:
                    return made
                if verb == "goto":
                    return None
            elif verb == "return":
                return None
            elif verb in TRANSLATES:
                return Decision("accept", (verb, argument))
            elif verb != "continue":
                return Decision(verb)
        return None


TRANSLATES = ("dnat", "snat", "masquerade", "redirect")


class Packet:
    """What rules may ask of a packet; the network's nodes make one (`stack.Passing`)."""

    came = goes = ""
    came_sealed = goes_sealed = False
    state = "new"
    traced = False

    def field(self, name: str) -> object:
        """A header's field by its nft name, or None where the packet has none: `ip saddr`, `th dport`."""
        raise NotImplementedError

    def raw(self, offset: int, length: int) -> int | None:
        """Bits from the transport header on."""
        raise NotImplementedError

    def route_back(self) -> bool:
        """Whether the route to its source leads where it came from."""
        raise NotImplementedError

    def for_us(self) -> bool:
        """Whether its target is an address of the node."""
        raise NotImplementedError

    def untrack(self) -> None:
        """Let connection tracking know nothing of it."""
        raise NotImplementedError

    def mangle(self, name: str, value: int) -> None:
        """Give a header's field another value."""
        raise NotImplementedError

    def duplicate(self, device: str) -> None:
        """Send a copy out of another device."""
        raise NotImplementedError


class Rule:
    """One rule, asked about one packet."""

    def __init__(self, rules: Ruleset, chain: Chain, words: tuple[str, ...], packet: Packet) -> None:
        self.rules, self.chain, self.whole, self.words, self.packet = rules, chain, words, list(words), packet

    def effect(self) -> tuple[str, str] | None:
        """The verdict and its argument; None where the rule does not match."""
        while self.words:
            word = self.words.pop(0)
            if word in VERDICTS:
                return word, ""
            if word in ("jump", "goto"):
                return word, self.words.pop(0)
            if word in TRANSLATES:
                rest = [found for found in self.words if found not in ("to", "ip", "ip6")]
                return word, rest[0] if rest else ""
            if not self.matches(word):
                return None
        return "continue", ""

    def matches(self, word: str) -> bool:
        """Whether the expression that begins with this word matches; takes its words away."""
        packet = self.packet
        match word:
            case "notrack":
                packet.untrack()
                return True
            case "counter" | "log" | ",":
                return True
            case "iifname" | "oifname":
                return self.fits(packet.came if word == "iifname" else packet.goes)
            case "meta" | "rt" | "ct" | "fib":
                return self.kept(word)
            case "numgen":
                del self.words[:2]
                modulus = int(self.words.pop(0))
                return self.rules.counted(self.whole) % modulus == int(self.value())
            case "add":
                return self.added()
            case "dup":
                packet.duplicate(self.words[1])
                self.words.clear()
                return True
            case "exthdr":
                del self.words[:2]
                return packet.field("frag id") is not None
            case "ip" | "ip6" | "tcp" | "udp" | "th" | "icmp" | "icmpv6" | "frag":
                name = self.words.pop(0)
                if self.words[:1] == ["set"]:
                    packet.mangle(f"{word} {name}", int(self.words[1]))
                    del self.words[:2]
                    return True
                return self.fits(packet.field(f"{word} {name}"))
        if found := re.fullmatch(r"@th,(\d+),(\d+)", word):
            return packet.raw(int(found[1]), int(found[2])) == int(self.value(), 0)
        raise ValueError(f"{word!r} is not known here: {' '.join(self.whole)}")

    def kept(self, word: str) -> bool:
        """What the kernel knows of a packet besides its headers."""
        packet, what = self.packet, self.words.pop(0)
        match word, what:
            case "meta" | "rt", "ipsec":
                sealed = packet.came_sealed if word == "meta" else packet.goes_sealed
                return sealed == (self.words.pop(0) == "exists")
            case "meta", "mark":
                del self.words[:2]
                return True
            case "meta", "nftrace":
                del self.words[:2]
                packet.traced = True
                return True
            case "meta", _:
                return self.fits(packet.field(f"meta {what}"))
            case "ct", "state":
                return packet.state in self.value().split(",")
            case "fib", "saddr":
                del self.words[:4]
                return not packet.route_back()
            case "fib", "daddr":
                del self.words[:2]
                return packet.for_us()
        raise ValueError(f"{word} {what} is not known here: {' '.join(self.whole)}")

    def added(self) -> bool:
        """Add bits of the packet to a set: `add @name { @th,48,16 }`."""
        into = self.rules.sets[self.chain.family, self.chain.table, self.words.pop(0).removeprefix("@")]
        _, offset, length = self.value().split(",")
        found = self.packet.raw(int(offset), int(length))
        if found is not None:
            into.add(found)
        return found is not None

    def value(self) -> str:
        """The next value, `a`, `a,b` or `{ a, b }`, its parts with commas between."""
        if self.words[0] in ("==", "&"):
            self.words.pop(0)
        if self.words[0] != "{":
            found = [self.words.pop(0).strip('"')]
            while self.words[:1] == [","]:
                self.words.pop(0)
                found.append(self.words.pop(0))
            return ",".join(found)
        end = self.words.index("}")
        found = [word for word in self.words[1:end] if word != ","]
        del self.words[: end + 1]
        return ",".join(found)

    def fits(self, found: object) -> bool:
        """Whether what a packet has is, or is not, or is more than, what the next words say."""
        sign = self.words.pop(0) if self.words[0] in ("!=", ">", "<") else ""
        wanted = self.value().split(",")
        if found is None:
            return False
        if sign in (">", "<"):
            return int(str(found)) > int(wanted[0]) if sign == ">" else int(str(found)) < int(wanted[0])
        return any(same(found, one) for one in wanted) != (sign == "!=")
