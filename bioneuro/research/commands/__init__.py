"""Command line: ``python -m bioneuro <command>``.

A command is a module: its docstring is what ``--help`` says of it, ``add_options`` adds what may follow its name, and
``run`` does the work and returns the exit code. What only these two functions import costs ``--help`` nothing.
A new command is a file here and a line of `COMMANDS`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Protocol

from ..errors import UserError
from . import attack, bench, claims, compare, config, continual, fewshot, report, sweep, tune
from .failures import FAILED, INTERRUPTED, USER_ERROR, Stopped, system_error
from .options import Parser
from .printing import add_json

__all__ = ["COMMANDS", "Command", "main"]


class Command(Protocol):
    """What a module of this folder is, beside its docstring."""

    __doc__: str | None

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the command, and an ``epilog`` if there is more to say."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; returns the exit code. A `UserError` is printed as one line, with exit code 2."""


COMMANDS: dict[str, Command] = {
    "compare": compare,
    "report": report,
    "tune": tune,
    "attack": attack,
    "claims": claims,
    "fewshot": fewshot,
    "continual": continual,
    "sweep": sweep,
    "bench": bench,
    "config": config,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 if it failed, 2 for a mistake of the user, 130 if interrupted."""
    width = max(map(len, COMMANDS))
    parser = Parser(
        prog="bioneuro",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {each.__doc__}" for name, each in COMMANDS.items()),
    )
    parser.add_argument("--version", action="version", version=f"bioneuro {version('bioneuro')}")
    parser.add_argument("command", choices=COMMANDS, metavar="command")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see bioneuro <command> --help")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console without Greek letters must not make it fail
    try:
        if not (sys.argv[1:] if argv is None else argv):
            parser.print_help()
            return 0
        chosen = parser.parse_args(argv)
        command = COMMANDS[chosen.command]
        parser = Parser(prog=f"bioneuro {chosen.command}", description=command.__doc__)
        command.add_options(parser)
        add_json(parser)
        return command.run(parser.parse_args(chosen.arguments))
    except UserError as error:
        _say(str(error))
        return USER_ERROR
    except Stopped as stopped:
        _say(str(stopped))
        return stopped.code
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except OSError as error:
        if error.errno is None:
            raise
        _say(system_error(error))
        return FAILED
    except SystemExit as stop:  # argparse's way to end --help
        return int(stop.code or 0)


def _say(message: str) -> None:
    """One line on stderr."""
    print("bioneuro: " + " ".join(message.split()), file=sys.stderr)
