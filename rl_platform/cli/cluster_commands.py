"""The commands for a cluster: their options, and their errors as sentences. Each is imported when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

WAIT_SECONDS = 600.0


def add_cluster_commands(commands: Commands) -> None:
    """submit, get, watch, logs, suspend, resume, delete."""
    submit = _command(commands, "submit", _submit, "send manifests to a cluster")
    submit.add_argument("manifests", nargs="+", metavar="MANIFEST")
    submit.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE", help="e.g. spec.seed=3"
    )
    submit.add_argument("--watch", action="store_true", help="then as rlp watch")
    submit.add_argument("--force", action="store_true", help="take over fields that somebody else has set")

    get = _command(commands, "get", _get, "the jobs of a cluster, or one in full")
    get.add_argument("name", nargs="?")
    get.add_argument("-A", "--all-namespaces", action="store_true")
    form = get.add_mutually_exclusive_group()
    form.add_argument("-o", "--output", choices=["wide", "yaml", "json"])
    form.add_argument("--json", action="store_true", help="as -o json")

    watch = _command(commands, "watch", _watch, "a job's progress and events, until its end")
    watch.add_argument("name")

    logs = _command(commands, "logs", _logs, "what a job's driver writes, also after its pods are gone")
    logs.add_argument("name")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the job ends")
    logs.add_argument("--attempt", type=_whole(1), metavar="N", help="default: the last one")
    logs.add_argument("--tail", type=_whole(0), metavar="N", help="the last N lines; default: all there are")

    suspend = _command(commands, "suspend", _suspend, "save a checkpoint and give the cluster back")
    resume = _command(commands, "resume", _resume, "go on from the checkpoint")
    for parser, until in ((suspend, "suspended"), (resume, "it trains")):
        parser.add_argument("name")
        _waiting(parser, f"until {until}")

    delete = _command(commands, "delete", _delete, "delete jobs; what they saved elsewhere stays")
    delete.add_argument("names", nargs="+", metavar="NAME")
    delete.add_argument("-y", "--yes", action="store_true", help="do not ask")
    _waiting(delete, "until all that belongs to them is gone")


def _command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("-n", "--namespace", metavar="NAME", help="default: the context's")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig; default: the current one")
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, then ~/.kube/config")
    parser.set_defaults(command=lambda arguments: _sentences(run, arguments))
    return parser


def _waiting(parser: argparse.ArgumentParser, until: str) -> None:
    parser.add_argument("--wait", action="store_true", help=until)
    parser.add_argument(
        "--timeout",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=f"of --wait (default {WAIT_SECONDS:g})",
    )


def _whole(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return whole


def _sentences(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """What goes wrong with the cluster as a sentence and an exit code."""
    from rl_platform.cli.cluster_errors import ClusterError
    from rl_platform.cli.errors import failed

    try:
        return run(arguments)
    except ClusterError as error:
        return failed(str(error), error.exit_code)


def _submit(arguments: argparse.Namespace) -> int:
    from rl_platform.cli.submit import submit

    return submit(arguments)


def _get(arguments: argparse.Namespace) -> int:
    from rl_platform.cli.get import get

    return get(arguments)


def _watch(arguments: argparse.Namespace) -> int:
    from rl_platform.cli.watch import watch

    return watch(arguments)


def _logs(arguments: argparse.Namespace) -> int:
    from rl_platform.cli.logs import logs

    return logs(arguments)


def _suspend(arguments: argparse.Namespace) -> int:
    from rl_platform.cli.suspend import suspend

    return suspend(arguments)


def _resume(arguments: argparse.Namespace) -> int:
    from rl_platform.cli.suspend import resume

    return resume(arguments)


def _delete(arguments: argparse.Namespace) -> int:
    from rl_platform.cli.delete import delete

    return delete(arguments)
