"""Invoke's tasks, made from functions whose parameters are declared options (`tunnelbed/testbed/options.py`)."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from scripts.checkout import INVOKE
from tunnelbed.errors import TunnelbedError
from tunnelbed.host import shell
from tunnelbed.testbed import verification
from tunnelbed.testbed.options import OPTIONS, Asked, Declared, Option, declared

VERBOSE = Declared("verbose", bool, False, Option("print each command that is run, ready to be pasted"))  # noqa: FBT003 # its default


def task(body: Callable[..., None]) -> Any:  # noqa: ANN401 # Invoke's Task is generic without need
    """An Invoke task that runs `body`: each of its declared options is an argument.

    So is each option of a dataclass that `body` takes. Invoke reads a task's arguments from its signature, and would
    meet a word in a number's place with a traceback. So it gets a signature in which all are texts or flags
    (`_signature`), and the texts are read here.
    """
    own, groups = declared(body), _groups(body)

    @functools.wraps(body)
    def run(context: Context, **given: Any) -> None:  # noqa: ANN401 # what Invoke makes of the command line
        # Invoke takes what follows a task for its first argument, where that has no default.
        if "--help" in given.values():
            raise Exit(code=subprocess.call([*INVOKE, "--help", body.__name__]))
        if given.pop(VERBOSE.name):
            logging.basicConfig(level=logging.INFO, format="+ %(message)s")
        texts = {name: _text(value) for name, value in given.items()}

        def called() -> None:
            values = _values(own, texts)
            for name, group in groups.items():
                found = _values(_options(group), texts)
                values[name] = Asked(found) if group is Asked else group(**found)
            body(context, **values)

        with_one_line(called)

    options = arguments(body)
    run.__signature__ = _signature(options)  # type: ignore[attr-defined]
    return invoke_task(
        run,
        help={option.flag.removeprefix("--"): option.option.help for option in options.values()},
        iterable=[name for name, option in options.items() if option.option.repeated],
        auto_shortflags=False,
    )


def arguments(body: Callable[..., object]) -> Mapping[str, Declared]:
    """Every option of a task by name: its own, those of the dataclasses that it takes, and `--verbose`.

    Those that must be given come first, as in any signature.
    """
    found = dict(declared(body))
    for group in _groups(body).values():
        found |= _options(group)
    required = {name: option for name, option in found.items() if option.required}
    return {**required, **found, VERBOSE.name: VERBOSE}


def with_one_line(body: Callable[[], None]) -> None:
    """Run a command; an expected failure ends it with one line on the error stream and an exit code.

    0: it holds; 1: an expectation does not; 2: it could not be run; 130: it was interrupted.
    """
    # SIGTERM, as a CI system sends it, cleans up as Ctrl-C does.
    shell.heed_signals()
    try:
        body()
        # Here rather than when Python ends: there a closed pipe is a traceback.
        sys.stdout.flush()
    except TunnelbedError as wrong:
        raise Exit(f"tunnelbed: {wrong}", wrong.code) from wrong
    except BrokenPipeError as closed:
        # The reader of our output (`| head`) has ended; Python must not try to write the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Exit(code=0) from closed
    except OSError as wrong:
        raise Exit(f"tunnelbed: {' '.join(str(wrong).split())}; correct that, then try again", 2) from wrong
    except KeyboardInterrupt as stopped:
        told = "tunnelbed: interrupted; `invoke down` removes what is left"
        raise Exit(told, verification.INTERRUPTED) from stopped


def _signature(options: Mapping[str, Declared]) -> inspect.Signature:
    """As Invoke is to understand the options: a flag is False, a repeated one None, any other an empty text.

    One that must be given has no default: `invoke new NAME` works, too.
    """
    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    for name, option in options.items():
        default: object = "" if option.kind is not bool else False
        if option.option.repeated:
            default = None
        elif option.required:
            default = option.default
        parameters.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default))
    return inspect.Signature(parameters)


def _groups(body: Callable[..., object]) -> Mapping[str, type]:
    """The parameters of a task that are a dataclass of options, or `Asked`, with their types."""
    return {name: hint for name, hint in get_type_hints(body).items() if isinstance(hint, type) and _options(hint)}


def _options(group: type) -> Mapping[str, Declared]:
    if group is Asked:
        return OPTIONS
    return declared(group) if dataclasses.is_dataclass(group) else {}


def _values(options: Mapping[str, Declared], texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of those options that were given, and of those that must be."""
    return {name: option.value(texts[name]) for name, option in options.items() if texts[name] or option.required}


def _text(value: object) -> str:
    """An argument as it was typed; `""` where it was not."""
    if isinstance(value, bool):
        return "yes" if value else ""
    return ",".join(value) if isinstance(value, list) else str(value or "")
