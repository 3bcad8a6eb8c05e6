from __future__ import annotations

import pytest

from tunnelbed.engines import Usage
from tunnelbed.engines.docker.cgroups import total
from tunnelbed.errors import EngineUnavailable

SECOND_VERSION = """\
6291456
usage_usec 1500000
user_usec 1000000
system_usec 500000
nr_periods 0
"""
NO_FILE = "cat: {}: No such file or directory\n"
FIRST_VERSION = NO_FILE.format("memory.peak") + NO_FILE.format("cpu.stat") + "4194304\n250000000\n"
BEFORE_5_19 = (
    NO_FILE.format("memory.peak") + "usage_usec 1500000\n" + NO_FILE.format("memory/memory.max_usage_in_bytes")
)


def test_both_versions_of_cgroups_are_read() -> None:
    assert total({"new": SECOND_VERSION}) == Usage(6291456, 1.5)
    assert total({"old": FIRST_VERSION}) == Usage(4194304, 0.25)


def test_a_testbed_costs_what_its_nodes_cost() -> None:
    assert total({"a": SECOND_VERSION, "b": FIRST_VERSION}) == Usage(10485760, 1.75)


def test_a_line_of_another_counter_is_not_taken_for_the_processor_time() -> None:
    assert total({"new": "1\ncore_sched.force_idle_usec 9\nusage_usec 2000000\n"}) == Usage(1, 2.0)


@pytest.mark.parametrize("said", ["", BEFORE_5_19, NO_FILE.format("memory.peak")])
def test_a_kernel_that_counts_no_peak_is_named_with_what_it_needs(said: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"gateway-a.*5\.19"):
        total({"gateway-a": said})
