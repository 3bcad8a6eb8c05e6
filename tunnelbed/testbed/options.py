"""The options of the commands, each declared once: type, default, help, what it takes.

An option is a type, `Annotated[str, Option("help")]`; its name and default stand where it is used: as a field of
`Options`, which are kept with a testbed, or as a parameter of a task. All else is read from there (`declared`): the
arguments of `invoke` and their help, `-D NAME=VALUE` of behave, completion in bash, and `options.json`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from tunnelbed import engines
from tunnelbed.engines import DATA_PLANES, ENGINES
from tunnelbed.errors import BadInput
from tunnelbed.topology import compose_file
from tunnelbed.topology.limits import DRIVERS
from tunnelbed.topology.model import LAST_PORT

# Of `options.json`. A later version that means something else by a key, or has another one, counts one up.
VERSION = 1
FILE = "options.json"
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
NAMES = {int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Option:
    """What an option means, and what it takes.

    `choices` are all the values there are, `offered` those that completion offers for a folder and a scenario. A number
    is at least `least` and at most `most`. `read` makes the value of a text where the type alone does not say how; it
    raises `ValueError` with what was expected. A `repeated` option may be given several times.
    """

    help: str
    choices: Collection[str] = ()
    offered: Callable[[Path, str], Collection[str]] | None = None
    least: float = 0
    most: float = float("inf")
    read: Callable[[str], Any] | None = None
    repeated: bool = False


@dataclass(frozen=True)
class Declared:
    """An option where it is used: its name and default (`inspect.Parameter.empty`: it must be given) there."""

    name: str
    kind: type
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """As a person types it: `--data-plane`; a parameter `from_` is `--from`."""
        return f"--{self.name.strip('_').replace('_', '-')}"

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty

    def value(self, text: str, said: str = "") -> Any:  # noqa: ANN401 # whatever the option's type is
        """The value of a text; `said` is the option as it was typed, by default `flag`. Raises `BadInput`."""
        option, found = self.option, repr(text)
        where = (said or self.flag, "", found)
        if option.read:
            try:
                return option.read(text)
            except ValueError as wrong:
                raise BadInput(*where, str(wrong), "correct it") from None
        if self.kind is bool:
            if text.casefold() not in (*YES, *NO):
                raise BadInput(*where, "yes or no", "correct it")
            return text.casefold() in YES
        if self.kind in NAMES:
            return self._number(text, where)
        if option.choices and text not in option.choices:
            raise BadInput(*where, f"one of: {', '.join(option.choices)}", "choose one of them")
        return self.kind(text)

    def _number(self, text: str, where: tuple[str, str, str]) -> Any:  # noqa: ANN401 # an int or a float
        try:
            number = self.kind(text)
        except ValueError:
            raise BadInput(*where, NAMES[self.kind], "correct it") from None
        least, most = self.option.least, self.option.most
        if not least <= number <= most:
            expected = f"{least:g} to {most:g}" if most < float("inf") else f"{least:g} or more"
            raise BadInput(*where, expected, "correct it")
        return number


def declared(of: Callable[..., object]) -> Mapping[str, Declared]:
    """The options that a function takes, or a dataclass has, by name and in order."""
    found = {}
    hints = get_type_hints(of, include_extras=True)
    for name, parameter in inspect.signature(of).parameters.items():
        kind, *more = get_args(hints[name]) or (None,)
        option = next((word for word in more if isinstance(word, Option)), None)
        if option:
            found[name] = Declared(name, kind, parameter.default, option)
    return found


def _root(text: str) -> Path:
    root = Path(text).resolve()
    if not (root / "compose").is_dir():
        raise BadInput("--path", "", text, "a folder with compose/ in it", "see `invoke new`")
    return root


def _ports(text: str) -> Sequence[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isdecimal() and word.isascii() and 0 < int(word) <= LAST_PORT for word in words):
        raise ValueError(f"ports, 1 to {LAST_PORT}, separated by commas")
    return [int(word) for word in words]


def image_words(said: str) -> str:
    """The images asked for, `WHO=IMAGE` separated by commas, in the form that `Options` have."""
    return ",".join(f"{who}={image}" for who, image in compose_file.asked_images(said).items())


def _scenarios(root: Path, _: str) -> Collection[str]:
    return compose_file.names(root)


def _nodes(root: Path, scenario: str) -> Collection[str]:
    return compose_file.load(scenario, root).nodes if scenario else ()


def _networks(root: Path, scenario: str) -> Collection[str]:
    return compose_file.load(scenario, root).networks if scenario else ()


Scenario = Annotated[
    str, Option("the scenario: NAME of `compose/NAME.yaml` (`invoke scenarios` lists them)", offered=_scenarios)
]
Instance = Annotated[
    str, Option("which copy of the scenario, if several are up: 1 to 12 lower-case letters and digits, e.g. `2`")
]
Root = Annotated[
    Path, Option("the folder that has compose/, configs/ and features/; by default this checkout", read=_root)
]
NodeName = Annotated[str, Option("the node's name in the Compose file", offered=_nodes)]
NetworkName = Annotated[str, Option("only packets that cross this network, each of them once", offered=_networks)]
Source = Annotated[str, Option("the node that sends: `client-a1`, or as in a sentence: `client A1`", offered=_nodes)]
Target = Annotated[str, Option("the target: a node, named in the same way, or an IP address", offered=_nodes)]
Ports = Annotated[
    Sequence[int], Option("TCP ports to try in addition to a ping, separated by commas: `22,8080`", read=_ports)
]
DataPlane = Annotated[
    str,
    Option(
        "what processes ESP: kernel, user (strongSwan in user space), or auto (the default): kernel if possible",
        choices=DATA_PLANES,
    ),
]
Engine = Annotated[
    str,
    Option("what runs the nodes: docker (the default), or qemu: one virtual machine for each node", choices=ENGINES),
]


@dataclass(frozen=True)
class Options:
    """How a testbed is brought up; kept with it, since every later command must agree.

    An engine refuses those that it does not take (`engines.takes`).
    """

    engine: Engine = "docker"
    driver: Annotated[
        str,
        Option(
            "the driver of Docker's networks: macvlan (the default), bridge, or ipvlan if no node forwards packets",
            choices=DRIVERS,
        ),
    ] = ""
    data_plane: DataPlane = "auto"
    platform: Annotated[str, Option("the platform of the images, e.g. linux/arm64; by default this machine's")] = ""
    nested: Annotated[
        bool,
        Option("run the servers as containers inside their node. That node is privileged: it can harm this machine"),
    ] = False
    memory: Annotated[int, Option("with qemu: memory of each VM in megabytes, by default 192", least=1)] = 0
    cpus: Annotated[int, Option("with qemu: processors of each VM, by default 1", least=1)] = 0
    # As `image_words` writes it.
    image: Annotated[
        str,
        Option(
            "another image for a node or a role: `gateway=me/vpn:dev`; can be repeated (docs/your-daemon.md)",
            read=image_words,
            repeated=True,
        ),
    ] = ""


OPTIONS = declared(Options)
DEFAULT = Options()


@dataclass(frozen=True)
class Asked:
    """The `Options` that were given, by name; the others have their default, or what a testbed was brought up with."""

    given: Mapping[str, Any]

    @property
    def options(self) -> Options:
        """All options; those not given have their default."""
        return Options(**self.given)

    @property
    def settings(self) -> Mapping[str, str]:
        """The options as behave takes them: `-D NAME=VALUE` each."""
        return {name: "yes" if value is True else str(value) for name, value in self.given.items()}


def asked(texts: Mapping[str, str], said: Callable[[Declared], str] = lambda option: option.flag) -> Asked:
    """The options among these texts by name, `said` being how each was typed; an empty text counts as not given.

    Raises `BadInput`.
    """
    return Asked({name: option.value(texts[name], said(option)) for name, option in OPTIONS.items() if texts.get(name)})


def differing(asked: Options, kept: Options) -> Sequence[Declared]:
    """The options in which two differ."""
    return [option for name, option in OPTIONS.items() if getattr(asked, name) != getattr(kept, name)]


def words(options: Options, among: Sequence[Declared]) -> str:
    """Some options as a person would type them: `--data-plane user --nested`; `no --driver` where one has none."""
    typed = []
    for option in among:
        value = getattr(options, option.name)
        typed.append(option.flag if value is True else f"{option.flag} {value}" if value else f"no {option.flag}")
    return " ".join(typed)


def write(options: Options, state: Path) -> None:
    """Write options to a testbed's folder, in one step: a process that is killed meanwhile leaves no half a file."""
    new = state / f"{FILE}.new"
    new.write_text(json.dumps({"version": VERSION, **asdict(options)}), encoding="utf-8")
    new.replace(state / FILE)


def kept(state: Path) -> Options | None:
    """The options kept in a testbed's folder, or None if there are none: then nothing of it was ever started.

    Raises `BadInput` for what this version cannot read: a testbed must not be taken for one that is not there.
    """
    file = state / FILE
    advice = (
        "take the testbed down with the version that brought it up, or with "
        "`invoke down --scenario NAME --engine ENGINE`, naming the engine it is on"
    )
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as wrong:
        raise BadInput(str(file), "", str(wrong), "a file that can be read", advice) from wrong
    try:
        found = json.loads(text)
    except ValueError as wrong:
        raise BadInput(str(file), "", str(wrong), "JSON", advice) from wrong
    if not isinstance(found, dict):
        raise BadInput(str(file), "", type(found).__name__, "an object", advice)
    # Files from before there were versions have the same keys.
    version = found.pop("version", VERSION)
    if version != VERSION:
        raise BadInput(str(file), "version", repr(version), str(VERSION), advice)
    for key, value in found.items():
        if key not in OPTIONS:
            raise BadInput(str(file), key, "it", f"one of: {', '.join(OPTIONS)}", advice)
        if type(value) is not OPTIONS[key].kind:
            raise BadInput(str(file), key, repr(value), f"a value of type {OPTIONS[key].kind.__name__}", advice)
    return Options(**found)


def refuse_foreign(options: Options, engine: engines.Engine) -> None:
    """Raise `BadInput` for an option that the engine does not take, if it differs from the default."""
    for option in differing(options, DEFAULT):
        if option.name not in ("engine", *engine.takes):
            value = getattr(options, option.name)
            takers = [f"--engine {name}" for name in ENGINES if option.name in engines.takes(name)]
            raise BadInput(option.flag, "", "it" if value is True else value, " or ".join(takers), "omit it")
