"""Which capabilities a stack gives, and which a process has."""

from __future__ import annotations

from tunnelbed.topology import capabilities
from tunnelbed.topology.model import Node


def test_a_stack_that_drops_all_gives_what_it_adds_and_nothing_else() -> None:
    assert capabilities.given(Node("a", (), capabilities=("NET_ADMIN", "CAP_NET_RAW"), dropped=("ALL",))) == {
        "NET_ADMIN",
        "NET_RAW",
    }


def test_a_stack_that_drops_nothing_leaves_the_engine_s_own() -> None:
    assert capabilities.given(Node("a", ())) == capabilities.DEFAULT
    assert capabilities.given(Node("a", (), dropped=("MKNOD",))) == capabilities.DEFAULT - {"MKNOD"}


def test_a_mask_is_read_bit_by_bit() -> None:
    assert capabilities.named("0000000000003400") == {"NET_BIND_SERVICE", "NET_ADMIN", "NET_RAW"}
    assert capabilities.named("0") == set()


def test_a_bit_without_a_name_keeps_its_number() -> None:
    assert capabilities.named(f"{1 << 41 | 1 << 12:x}") == {"NET_ADMIN", "41"}


def test_a_process_tells_what_it_may_do_and_what_it_can_ever_get() -> None:
    status = "Name:\tsh\nCapInh:\t0\nCapEff:\t0000000000001000\nCapBnd:\t0000000000003000\n"
    now, ever = capabilities.held(status)
    assert now == {"NET_ADMIN"}
    assert ever == {"NET_ADMIN", "NET_RAW"}
