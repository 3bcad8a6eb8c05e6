"""The contract of engines, as Docker keeps it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Checkout
from tests.contracts.engine_contract import EngineContract, Subject, plan_of, silent
from tunnelbed.engines.docker import engine as docker
from tunnelbed.engines.docker.engine import DockerEngine


class TestDocker(EngineContract):
    name = "docker"

    @pytest.fixture
    def subject(self, checkout: Checkout) -> Iterator[Subject]:
        engine = docker.connect(checkout.root)
        plan = plan_of(checkout, dict(engine.provide(["tunnelbed/node"], "", silent)))
        made = Subject(engine, plan)
        yield made
        engine.stop(made.project, plan.state)

    def ruin(self, subject: Subject) -> None:
        # Networks, and no node yet.
        assert isinstance(subject.engine, DockerEngine)
        parents = subject.engine.make_parents(subject.plan, silent)
        files = subject.engine.render(subject.plan, parents)
        subject.engine.compose_up(subject.project, files, "--no-start", "client")
