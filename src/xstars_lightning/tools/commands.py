"""The tools as commands: a function's arguments become options, its docstring the help."""

import sys
from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Any

from docstring_parser import Docstring, parse
from jsonargparse import ActionYesNo, ArgumentParser

from xstars_lightning.tools.compare import compare
from xstars_lightning.tools.index import index
from xstars_lightning.tools.leakage import leakage
from xstars_lightning.tools.stats import stats

__all__ = ["TOOLS", "run_tool", "summary", "tool_parser"]

TOOLS: dict[str, Callable[..., None]] = {
    "index": index,
    "stats": stats,
    "leakage": leakage,
    "compare": compare,
}


def run_tool(name: str, args: Sequence[str]) -> None:
    """Call a tool with arguments of the command line.

    Args:
        name: One of :data:`TOOLS`.
        args: What follows the name.

    Raises:
        SystemExit: With status 2 and one message, if arguments are missing or unknown, or a file or value
            cannot be used; or as the tool does.
    """
    options = vars(tool_parser(name).parse_args(list(args)))
    try:
        TOOLS[name](**options)
    except (OSError, ValueError) as error:
        print(f"xstars {name}: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def summary(tool: Callable[..., Any]) -> str:
    """The first sentence of a tool's docstring, as the list of commands shows it."""
    return parse(tool.__doc__ or "").short_description or ""


def tool_parser(name: str) -> ArgumentParser:
    """A parser of the arguments of a tool.

    ``paths`` stands without a name, lists take several values, switches have a negation.
    """
    tool = TOOLS[name]
    docs = parse(tool.__doc__ or "")
    parser = ArgumentParser(prog=f"xstars {name}", description=_description(docs), allow_abbrev=False)
    helps = {argument.arg_name: _plain(argument.description) for argument in docs.params}
    for parameter in signature(tool).parameters.values():
        _add(parser, parameter, helps.get(parameter.name, ""))
    return parser


def _description(docs: Docstring) -> str:
    return " ".join(_plain(part) for part in (docs.short_description, docs.long_description) if part)


def _plain(text: str | None) -> str:
    return " ".join((text or "").replace("``", "`").split())


def _add(parser: ArgumentParser, parameter: Parameter, said: str) -> None:
    name, kind = parameter.name, parameter.annotation
    required = parameter.default is Parameter.empty
    if name == "paths":
        parser.add_argument(name, nargs="+", type=str, help=said)
    elif kind is bool:
        parser.add_argument(f"--{name}", action=ActionYesNo, default=parameter.default, help=said)
    elif kind == list[str]:
        parser.add_argument(f"--{name}", nargs="+", type=str, required=required, help=said)
    elif required:
        parser.add_argument(f"--{name}", type=kind, required=True, help=said)
    else:
        parser.add_argument(f"--{name}", type=kind, default=parameter.default, help=said)
