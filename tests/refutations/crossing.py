"""Refutations of the phrases of steps/crossing.py."""

from __future__ import annotations

from tests.refutations import impossible, telling, undecided, untrue
from tests.refutations.breaks import (
    PLAIN_ROUTING,
    all_of,
    dropped,
    firewall_open,
    forgotten,
    handed_on,
    rules,
    secluded,
)

# What the server sends to the Internet has the server's own address there.
UNMASKED = rules("gateway-s", "flush chain ip nat postrouting")
# The router would hand what gateway A sends to the cloud's server on, were it not in the tunnel.
UNTUNNELLED = all_of(forgotten("gateway-a"), firewall_open("gateway-a"))

REFUTATIONS = (
    telling(
        "client A1 asks the server",
        given="every gateway ends its tunnels",
        then="gateway A has a tunnel",
        expected="gateway-a has a tunnel",
        seen="none",
    ),
    impossible(
        "the router asks the server once",
        possible="client A1 asks the server once",
        says="site-to-site: router: found no server to ask, expected a client, whose stack sets LOCAL_SERVER; *",
    ),
    impossible(
        "the router asks the server",
        possible="client A1 asks the server",
        says="site-to-site: router: found no server to ask, expected a client, whose stack sets LOCAL_SERVER; *",
    ),
    telling(
        "client A1 asks the server once",
        given="every gateway ends its tunnels",
        then="gateway A has a tunnel with gateway S within 2 s",
        expected="gateway-a has a tunnel with gateway-s within 2 s",
        seen="none",
    ),
    impossible(
        "the router sends its last packets again",
        possible=("client A1 asks the server", "client A1 sends its last packets again"),
        says="When: found none, expected a request before this sentence; *",
    ),
    telling(
        "client A1 sends its last packets again",
        given=("client A1 asks the server", "client A1 pings the Internet"),
        then="TCP port 8080 crosses the intranet of site A",
        expected="TCP port 8080 crosses intranet_a",
        seen="*ICMP*",
    ),
    telling(
        "the server pings the Internet",
        given="client A1 asks the server",
        then="ICMP crosses the ISP link of site S",
        expected="ICMP crosses isp_link_s",
        seen="*ESP*",
    ),
    untrue(
        "only IKE and ESP cross the ISP link of site A",
        when="client A1 asks the server",
        broken=UNTUNNELLED,
        expected="only ESP and IKE cross isp_link_a",
        seen="TCP port 8080: *gateway-a*out*isp_link_a*",
    ),
    untrue(
        "only IKE and ESP cross the ISP link of site A",
        given="every gateway ends its tunnels",
        when="client A1 asks the server",
        broken=dropped("gateway-a", "forward"),
        expected="only ESP and IKE cross isp_link_a",
        seen="nothing",
    ),
    untrue(
        "ESP crosses the ISP link of site A",
        when="client A1 asks the server",
        broken=UNTUNNELLED,
        expected="ESP crosses isp_link_a",
        seen="*TCP port 8080*",
    ),
    untrue(
        "ESP crosses every ISP link",
        when=("client A1 asks the server", "every client asks the server"),
        otherwise="client A1 asks the server",
        given="every gateway ends its tunnels",
        expected="ESP crosses isp_link_b",
        seen="nothing",
    ),
    untrue(
        "no ICMP crosses any ISP link",
        when="client A1 pings the Internet",
        broken=firewall_open("gateway-a"),
        expected="no ICMP crosses isp_link_a",
        seen="*gateway-a*out*isp_link_a*ICMP*",
    ),
    untrue(
        "nothing crosses internet_link",
        when="client A1 pings the Internet",
        broken=firewall_open("gateway-a"),
        expected="nothing crosses internet_link",
        seen="ICMP: *router*out*internet_link*",
    ),
    untrue(
        "the router sends nothing into internet_link",
        when="client A1 pings the Internet",
        broken=firewall_open("gateway-a"),
        expected="router sends nothing into internet_link",
        seen="ICMP: *router*out*internet_link*",
    ),
    untrue(
        "the text of the request is never seen in clear on any ISP link",
        when="every client asks the server",
        broken=PLAIN_ROUTING,
        expected="the text of a request is never seen in clear on isp_link_a",
        seen="it is readable in *gateway-a*out*isp_link_a*TCP*",
    ),
    undecided(
        "the text of the request is never seen in clear on the ISP link of site B",
        given="every gateway ends its tunnels",
        when="every client asks the server",
        otherwise="client A1 asks the server",
        says="no packet crossed isp_link_b, so nothing is shown: send traffic first",
    ),
    undecided(
        "the text of the request is never seen in clear on any ISP link",
        when="every client asks the server",
        otherwise="client A1 pings the server",
        says="Then: found none, expected a request among what was sent last; *",
    ),
    undecided(
        "no private address is seen beyond a gateway",
        when="client A1 asks the server",
        otherwise="the router pings the Internet",
        says="no address from inside a site was seen even inside the sites: nothing is shown; send traffic first",
    ),
    untrue(
        "no private address is seen beyond a gateway",
        when="the server pings the Internet",
        broken=UNMASKED,
        expected="no address from inside a site is seen on *",
        seen="*10.3.0.3 > 203.0.113.10*",
    ),
    untrue(
        "a plain packet forged as from the Internet and put on the ISP link of site S does not reach the server",
        broken=firewall_open("gateway-s"),
        expected="a plain packet forged as from internet and put on isp_link_s does not reach server-s1",
        seen="it arrived: *server-s1*in*cloud_network_s*ICMP*",
    ),
    untrue(
        "a plain request forged as from the Internet to gateway S on TCP port 8080 and put on the ISP link of site S "
        "does not reach the server",
        broken=all_of(firewall_open("gateway-s"), handed_on("gateway-s", 8080, "10.3.0.3")),
        expected="a plain packet forged as from internet and put on isp_link_s does not reach server-s1",
        seen="it arrived: *server-s1*in*cloud_network_s*TCP*",
    ),
    untrue(
        "a plain answer forged as from the server and put on the ISP link of site A does not reach client A1",
        given="client A1 pings the server",
        broken=UNTUNNELLED,
        expected="a plain answer forged as from server-s1 and put on isp_link_a does not reach client-a1",
        seen="it arrived: *client-a1*in*intranet_a*ICMP*",
    ),
    undecided(
        "a plain packet forged as from the Internet and put on the ISP link of site S does not reach the server",
        broken=secluded("server-s1", "cloud_network_s"),
        says="no control packet from a neighbour arrives at server-s1: nothing is shown",
    ),
    impossible(
        "no Icmp crosses the ISP link of site A",
        given="client A1 pings the server",
        possible="no ICMP crosses the ISP link of site A",
        says="Then: found Icmp, expected ESP, ICMP, ICMPv6, IKE, TCP port N or UDP port N; *",
    ),
    impossible(
        "the server answers the ping of client A1 again",
        possible=("client A1 pings the server", "the server answers the ping of client A1 again"),
        says="Then: found none, expected a ping before this sentence; *",
    ),
    telling(
        "the server answers the ping of client A1 again",
        given=("client A1 can reach the server", "client A1 pings the server", "every gateway ends its tunnels"),
        then="gateway S has a tunnel with gateway A within 2 s",
        expected="gateway-s has a tunnel with gateway-a within 2 s",
        seen="none",
    ),
)
