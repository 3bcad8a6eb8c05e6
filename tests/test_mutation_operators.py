"""What each operator makes of a small file: the mistake, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.conftest import Checkout
from tunnelbed.errors import BadInput
from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.mutants import mutants
from tunnelbed.mutation.operators import registry
from tunnelbed.topology.compose_file import load
from tunnelbed.vpn.strongswan import swanctl_conf

RULES = """\
flush ruleset
define peers = { 192.0.2.2, 192.0.2.3 }
table inet filter {
    # a comment {
    chain input {
        type filter hook input priority filter; policy drop;
        iifname outside ip saddr $peers udp dport { 500, 4500 } accept
        ct state established,related accept
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        oifname outside rt ipsec exists accept
        ip daddr 10.2.0.0/16 drop
    }
}
table ip nat {
    chain nat {
        type nat hook prerouting priority dstnat;
        tcp dport 80 dnat to 10.1.0.3
        oifname outside rt ipsec missing masquerade
    }
}
"""
CONNECTIONS = """\
connections {
    cloud {
        version = 2
        proposals = aes256gcm16-prfsha384-ecp384
        dpd_delay = 2s
        keyingtries = 0
        local {
            id = "CN=gateway"
        }
        remote {
            id = "CN=peer"
            cacerts = root.pem
            revocation = strict
        }
        children {
            cloud {
                local_ts = 10.1.0.0/16
                remote_ts = fc00:1::/64
                esp_proposals = aes256gcm16-ecp384
                start_action = trap
                dpd_action = trap
                close_action = trap
            }
        }
    }
}
"""


def made(checkout: Checkout, operator: str) -> list[Mutant]:
    """The mutants of one operator in the small checkout."""
    return list(mutants(load("tiny", checkout.root), operator))


def changed(checkout: Checkout, mutant: Mutant) -> tuple[list[str], list[str]]:
    """The lines a mutant takes away and those it adds, without indentation."""
    lines = Sources(load("tiny", checkout.root)).diff(mutant).splitlines()
    lost = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    return lost, [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]


@pytest.mark.parametrize(
    ("operator", "lost", "added"),
    [
        ("rule-removed", "ct state established,related accept", None),
        ("verdict-flipped", "ip daddr 10.2.0.0/16 drop", "ip daddr 10.2.0.0/16 accept"),
        (
            "policy-opened",
            "type filter hook input priority filter; policy drop;",
            "type filter hook input priority filter; policy accept;",
        ),
        ("masquerade-missing", "oifname outside rt ipsec missing masquerade", None),
        ("masquerade-too-wide", "oifname outside rt ipsec missing masquerade", "masquerade"),
        ("dnat-missing", "tcp dport 80 dnat to 10.1.0.3", None),
        ("dnat-wrong-port", "tcp dport 80 dnat to 10.1.0.3", "tcp dport 80 dnat to 10.1.0.3:81"),
        ("dnat-too-wide", "tcp dport 80 dnat to 10.1.0.3", "meta l4proto tcp dnat to 10.1.0.3"),
        ("tunnel-not-required", "oifname outside rt ipsec exists accept", "oifname outside accept"),
        ("state-ignored", "ct state established,related accept", "accept"),
        (
            "port-ignored",
            "iifname outside ip saddr $peers udp dport { 500, 4500 } accept",
            "iifname outside ip saddr $peers meta l4proto udp accept",
        ),
        ("address-ignored", "ip daddr 10.2.0.0/16 drop", "drop"),
    ],
)
def test_a_firewall_s_mistake_is_one_line(checkout: Checkout, operator: str, lost: str, added: str | None) -> None:
    checkout.configure("gateway/nftables.conf", RULES)
    found = [changed(checkout, mutant) for mutant in made(checkout, operator)]
    assert ([lost], [added] if added else []) in found
    assert all(len(was) == 1 and len(now) <= 1 for was, now in found)


def test_a_rule_is_removed_from_every_chain_and_nat_left_to_its_own_operators(checkout: Checkout) -> None:
    checkout.configure("gateway/nftables.conf", RULES)
    assert len(made(checkout, "rule-removed")) == 4


def test_an_icmp_redirect_is_no_nat(checkout: Checkout) -> None:
    checkout.configure("gateway/nftables.conf", "table ip f {\nchain a {\nicmp type redirect drop\n}\n}\n")
    assert not made(checkout, "dnat-missing")
    assert len(made(checkout, "rule-removed")) == 1


@pytest.mark.parametrize("rule", ["icmp type redirect drop", "icmpv6 type nd-redirect drop", "ct status dnat accept"])
def test_what_only_speaks_of_nat_is_no_nat(checkout: Checkout, rule: str) -> None:
    checkout.configure("gateway/nftables.conf", f"table ip f {{\nchain a {{\n{rule}\n}}\n}}\n")
    assert not made(checkout, "dnat-missing")
    assert not made(checkout, "dnat-too-wide")
    assert len(made(checkout, "rule-removed")) == 1


@pytest.mark.parametrize(
    ("rule", "without"),
    [
        ("ip saddr != $peers accept", "accept"),
        ("ct original ip daddr $old accept", "accept"),
        ("ip saddr . tcp dport $pairs accept", "accept"),
    ],
)
def test_an_address_goes_with_all_that_belongs_to_it(checkout: Checkout, rule: str, without: str) -> None:
    checkout.configure("gateway/nftables.conf", f"table ip f {{\nchain a {{\n{rule}\n}}\n}}\n")
    (mutant,) = made(checkout, "address-ignored")
    assert changed(checkout, mutant) == ([rule], [without])
    assert not made(checkout, "port-ignored")


def test_a_nat_rule_that_needs_a_tunnel_can_hold_without_one(checkout: Checkout) -> None:
    checkout.configure("gateway/nftables.conf", "flush ruleset\n")
    inner = "chain a {\niifname ipsec0 jump b\niifname out meta ipsec exists jump b\n}\n"
    checkout.configure("gateway/while-up/cloud.nft", f"table inet cloud {{\n{inner}}}\n")
    (mutant,) = made(checkout, "dnat-without-tunnel")
    assert mutant.name == "dnat-without-tunnel: gateway cloud.nft"
    _, added = changed(checkout, mutant)
    assert added == ["table inet always-cloud {", "chain a {", "jump b", "iifname out jump b", "}", "}"]


def test_what_holds_while_a_tunnel_is_up_is_mutated_too(checkout: Checkout) -> None:
    checkout.configure("gateway/while-up/cloud.nft", RULES)
    (mutant,) = made(checkout, "dnat-missing")
    assert [str(path) for path in mutant.changes] == ["configs/tiny/gateway/while-up/cloud.nft"]


@pytest.mark.parametrize(
    ("target", "now"),
    [
        ("10.1.0.3:8080", "10.1.0.3:8081"),
        ("$server", "$server:81"),
        ("[fc00::3]:80", "[fc00::3]:81"),
        ("fc00::3", "[fc00::3]:81"),
    ],
)
def test_another_port_is_written_as_nft_wants_it(checkout: Checkout, target: str, now: str) -> None:
    checkout.configure("gateway/nftables.conf", f"table ip nat {{\nchain a {{\ntcp dport 80 dnat to {target}\n}}\n}}\n")
    (mutant,) = made(checkout, "dnat-wrong-port")
    assert changed(checkout, mutant)[1] == [f"tcp dport 80 dnat to {now}"]


@pytest.mark.parametrize(
    ("operator", "changes"),
    [
        ("selector-too-wide", {"local_ts = 10.0.0.0/14", "remote_ts = fc00:1::/60"}),
        ("selector-too-narrow", {"local_ts = 10.1.0.0/17", "remote_ts = fc00:1::/65"}),
        ("esp-unencrypted", {"esp_proposals = null-sha256"}),
        ("esp-without-exchange", {"esp_proposals = aes256gcm16"}),
        ("ike-weaker", {"proposals = aes128-sha1-modp2048"}),
        ("any-identity", {"id = %any"}),
        ("revocation-lax", set()),
        ("any-authority", set()),
        ("trigger-missing", set()),
        ("retries-few", {"keyingtries = 1"}),
        ("exchange-differs", {"esp_proposals = aes256gcm16-ecp256"}),
        ("liveness-ignored", {"dpd_delay = 0s"}),
        ("end-accepted", {"dpd_action = clear", "close_action = none"}),
        (
            "selector-added",
            {
                "local_ts = 10.1.0.0/16, 10.0.0.0/16",
                "local_ts = 10.1.0.0/16, 0.0.0.0/0",
                "remote_ts = fc00:1::/64, fc00:1:0:1::/64",
                "remote_ts = fc00:1::/64, ::/0",
            },
        ),
    ],
)
def test_a_connection_s_mistake_is_one_setting(checkout: Checkout, operator: str, changes: set[str]) -> None:
    checkout.configure("gateway/swanctl.conf", CONNECTIONS)
    found = [changed(checkout, mutant) for mutant in made(checkout, operator)]
    assert found
    assert {line for _, added in found for line in added} == changes
    assert all(len(lost) == 1 for lost, _ in found)


ONE_LINE = """\
connections { cloud {
    local { id = me }
    remote { id = you; revocation = strict }  # not lax
    remote-2 { revocation = strict }
    children { cloud { local_ts = 10.1.0.0/16 } }
} }
"""


def test_sections_on_one_line_are_read_as_strongswan_reads_them(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", ONE_LINE)
    (identity,) = made(checkout, "any-identity")
    # strongSwan has no `;` between settings: it belongs to the value.
    assert changed(checkout, identity)[1] == ["remote { id = %any }  # not lax"]
    (lax,) = made(checkout, "revocation-lax")
    assert lax.name == "revocation-lax: gateway cloud remote-2 revocation"
    assert changed(checkout, lax)[1] == ["remote-2 {  }"]
    (wide,) = made(checkout, "selector-too-wide")
    assert changed(checkout, wide)[1] == ["children { cloud { local_ts = 10.0.0.0/14 } }"]


def test_a_setting_is_added_to_a_section_on_one_line(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", ONE_LINE)
    for mutant in made(checkout, "keys-kept"):
        assert len(list(swanctl_conf.read(_written(checkout, mutant)).settings("rekey_time"))) == 1
    assert [mutant.place for mutant in made(checkout, "keys-kept")] == ["gateway cloud IKE", "gateway cloud ESP"]


def test_keys_end_before_or_as_they_are_to_be_changed(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", CONNECTIONS)
    (short,) = made(checkout, "life-short")
    assert (short.place, changed(checkout, short)) == ("gateway cloud", ([], ["life_time = 30m", "rekey_time = 1h"]))
    ike, esp = made(checkout, "margin-missing")
    assert (ike.place, changed(checkout, ike)) == ("every gateway IKE", ([], ["over_time = 0s"]))
    assert (esp.place, changed(checkout, esp)) == ("every gateway ESP", ([], ["life_time = 1h", "rekey_time = 1h"]))
    for mutant, key, path in ((short, "life_time", "children"), (ike, "over_time", "cloud")):
        (setting,) = swanctl_conf.read(_written(checkout, mutant)).settings(key)
        assert path in setting.sections[-2:]


def test_a_tunnel_that_is_proven_again_breaks_only_where_charon_is_told_to_break_it(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", CONNECTIONS)
    checkout.configure("gateway/strongswan.conf", "charon {\n    threads = 8\n}\n")
    (mutant,) = made(checkout, "reauth-breaks")
    lost, added = changed(checkout, mutant)
    assert not lost
    assert set(added) == {"reauth_time = 3h", "rekey_time = 4h", "charon {", "make_before_break = no", "}"}
    assert {path.name for path in mutant.changes} == {"swanctl.conf", "strongswan.conf"}


def test_no_keys_that_come_without_an_exchange_come_with_another_one(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", CONNECTIONS.replace("aes256gcm16-ecp384\n", "aes256gcm16\n"))
    assert not made(checkout, "exchange-differs")


def test_keys_that_are_changed_at_some_time_are_changed_never(checkout: Checkout) -> None:
    text = CONNECTIONS.replace("version = 2", "version = 2\n        rekey_time = 4h")
    checkout.configure("gateway/swanctl.conf", text)
    ike, esp = made(checkout, "keys-kept")
    assert changed(checkout, ike) == (["rekey_time = 4h"], ["rekey_time = 0s"])
    assert changed(checkout, esp) == ([], ["rekey_time = 0s"])


def test_what_swanctl_conf_includes_is_mutated_where_it_stands(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", "include conf.d/*.conf\n")
    checkout.configure("gateway/conf.d/cloud.conf", CONNECTIONS)
    (mutant,) = made(checkout, "retries-few")
    assert [str(path) for path in mutant.changes] == ["configs/tiny/gateway/conf.d/cloud.conf"]


def _written(checkout: Checkout, mutant: Mutant) -> Path:
    ((path, text),) = mutant.changes.items()
    (checkout.root / "mutant.conf").write_text(text)
    assert path.name == "swanctl.conf"
    return checkout.root / "mutant.conf"


def test_only_the_peer_may_become_anybody(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", CONNECTIONS)
    (mutant,) = made(checkout, "any-identity")
    assert changed(checkout, mutant)[0] == ['id = "CN=peer"']


def test_a_missing_connection_leaves_the_others_alone(checkout: Checkout) -> None:
    two = CONNECTIONS.removesuffix("}\n") + "    other {\n        version = 2\n    }\n}\n"
    checkout.configure("gateway/swanctl.conf", two)
    found = {mutant.place: "".join(mutant.changes.values()) for mutant in made(checkout, "connection-missing")}
    assert set(found) == {"gateway cloud", "gateway other"}
    assert found["gateway other"] == CONNECTIONS


def test_a_missing_route_is_no_missing_address(checkout: Checkout) -> None:
    checkout.configure(
        "client/ip.batch", "# way out\naddress replace 10.1.0.9/16 dev inside\nroute replace default via 10.1.0.2\n"
    )
    assert [mutant.place for mutant in made(checkout, "route-missing")] == [
        "client: route replace default via 10.1.0.2"
    ]
    assert len(made(checkout, "address-missing")) == 1


def test_an_address_twice_is_a_neighbour_s(checkout: Checkout) -> None:
    added = [line for mutant in made(checkout, "address-twice") for line in changed(checkout, mutant)[1]]
    assert added == ["address replace 10.1.0.3/16 dev inside", "address replace 192.0.2.1/24 dev outside"]


def test_a_host_is_joined_to_the_link_before_its_gateway(checkout: Checkout) -> None:
    checkout.stack["networks"]["outside"]["labels"] = {"tunnelbed.role": "isp_link", "tunnelbed.site": "a"}
    checkout.write()
    (mutant,) = made(checkout, "network-joined")
    stack = yaml.safe_load("".join(mutant.changes.values()))
    assert stack["services"]["client"]["networks"]["outside"] == {"ipv4_address": "192.0.2.200"}


@pytest.mark.parametrize(
    ("operator", "key"),
    [("forwarding-off", "net.ipv4.ip_forward"), ("source-check-off", "net.ipv4.conf.all.rp_filter")],
)
def test_a_sysctl_is_switched_off_where_it_was_on(checkout: Checkout, operator: str, key: str) -> None:
    checkout.stack["services"]["gateway"]["sysctls"] = {key: 1}
    checkout.stack["services"]["client"]["sysctls"] = [f"{key}=0"]
    checkout.write()
    (mutant,) = made(checkout, operator)
    stack = yaml.safe_load("".join(mutant.changes.values()))
    assert stack["services"]["gateway"]["sysctls"] == {key: 0}


def test_a_firewall_s_added_rule_comes_first_in_each_chain_that_refuses(checkout: Checkout) -> None:
    checkout.configure("gateway/nftables.conf", RULES)
    found = {mutant.place: changed(checkout, mutant) for mutant in made(checkout, "rule-added")}
    kinds = ("DNS", "NTP", "SSH", "HTTPS", "ICMP", "fragments")
    assert list(found) == [f"gateway {chain}: {kind}" for chain in ("input", "forward") for kind in kinds]
    assert found["gateway input: NTP"] == ([], ["udp dport 123 accept"])
    (text,) = next(mutant for mutant in made(checkout, "rule-added")).changes.values()
    lines = [line.strip() for line in text.splitlines()]
    at = lines.index("meta l4proto { tcp, udp } th dport 53 accept")
    assert lines[at - 1].startswith("type filter hook input")


@pytest.mark.parametrize(
    ("chain", "made_in"),
    [
        ("type filter hook output priority 0; policy accept;\nicmp type redirect drop", True),
        ("type filter hook output priority 0; policy accept;\nmeta mark set 1", False),
        ("ip daddr 10.1.0.3 tcp dport 80 dnat to 10.1.0.4", False),
        ("oifname outside accept", True),
        ("type filter hook input priority 0; policy drop;", False),
    ],
)
def test_a_rule_is_added_where_it_can_let_more_pass(checkout: Checkout, chain: str, made_in: bool) -> None:  # noqa: FBT001
    checkout.configure("gateway/nftables.conf", f"table ip f {{\nchain a {{\n{chain}\n}}\n}}\n")
    assert bool(made(checkout, "rule-added")) == made_in


def test_chains_of_two_tables_may_have_the_same_name(checkout: Checkout) -> None:
    filtering = "table inet f {\nchain pre {\ntype filter hook prerouting priority raw;\nmark 1 drop\n}\n}\n"
    nat = (
        "table ip nat {\nchain pre {\ntype nat hook prerouting priority dstnat;\ntcp dport 80 dnat to 10.1.0.4\n}\n}\n"
    )
    checkout.configure("gateway/nftables.conf", filtering + nat)
    assert len(made(checkout, "rule-added")) == 6


def test_later_fragments_are_known_in_the_node_s_own_ip_version(checkout: Checkout) -> None:
    checkout.configure("gateway/nftables.conf", RULES)
    added = [changed(checkout, mutant)[1] for mutant in made(checkout, "rule-added")]
    assert ["ip frag-off & 0x1fff != 0 accept"] in added


def test_a_route_too_many_leads_to_a_private_network_that_is_not_the_node_s_own(checkout: Checkout) -> None:
    (mutant,) = made(checkout, "route-added")
    assert mutant.name == "route-added: server to inside by gateway"
    assert changed(checkout, mutant)[1] == ["route replace 10.1.0.0/16 via 192.0.2.1"]


def sysctls(mutant: Mutant, node: str) -> object:
    return yaml.safe_load("".join(mutant.changes.values()))["services"][node]["sysctls"]


def test_ipv6_is_left_on_where_it_was_off(checkout: Checkout) -> None:
    checkout.stack["services"]["gateway"]["sysctls"] = {"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv4.ip_forward": 1}
    checkout.stack["services"]["client"]["sysctls"] = {"net.ipv6.conf.all.disable_ipv6": 0}
    checkout.write()
    (mutant,) = made(checkout, "ipv6-left-on")
    assert (mutant.place, sysctls(mutant, "gateway")) == ("gateway", {"net.ipv4.ip_forward": 1})


def test_each_sysctl_is_left_out_once_and_turned_once(checkout: Checkout) -> None:
    checkout.stack["services"]["gateway"]["sysctls"] = ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.log_martians=0"]
    checkout.write()
    left_out = [sysctls(mutant, "gateway") for mutant in made(checkout, "sysctl-missing")]
    assert left_out == [{"net.ipv4.conf.all.log_martians": "0"}, {"net.ipv4.ip_forward": "1"}]
    turned = [sysctls(mutant, "gateway") for mutant in made(checkout, "sysctl-turned")]
    assert [list(now.values()) for now in turned if isinstance(now, dict)] == [[0, "0"], ["1", 1]]


def test_every_node_may_get_a_capability_too_many(checkout: Checkout) -> None:
    assert {mutant.place for mutant in made(checkout, "capability-added")} == {"gateway", "client", "server"}


def test_plain_routing_opens_the_gateways_and_ends_their_tunnels(checkout: Checkout) -> None:
    checkout.configure("gateway/nftables.conf", RULES)
    checkout.configure("gateway/swanctl.conf", CONNECTIONS)
    (mutant,) = made(checkout, "plain-routing")
    texts = {path.name: text for path, text in mutant.changes.items()}
    assert "CN=peer" in texts["swanctl.conf"]
    assert "children" not in texts["swanctl.conf"]
    assert "local_ts" not in texts["swanctl.conf"]
    assert "drop" not in texts["nftables.conf"]
    assert "masquerade" not in texts["nftables.conf"]


def test_every_mutant_has_a_name_of_its_own(checkout: Checkout) -> None:
    checkout.configure("gateway/nftables.conf", RULES)
    checkout.configure("gateway/swanctl.conf", CONNECTIONS)
    names = [mutant.name for mutant in mutants(load("tiny", checkout.root))]
    assert len(names) == len(set(names)) > 30


def test_every_operator_says_what_it_does() -> None:
    assert len(registry()) >= 20
    assert all((make.__doc__ or "").endswith(".") for make in registry().values())


def test_an_unknown_operator_is_answered_with_those_there_are(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match="rule-removed"):
        made(checkout, "rule-remved")
