"""``rlp``: arguments in, exit codes out. Commands import what they need only when they run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from rl_platform.workers.matrix_kernels import choose_matrix_kernels

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 failed, 2 the input was wrong, 3 stopped and can be resumed, 130
    interrupted.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # more threads than one make small networks slower
    choose_matrix_kernels(os.environ)
    sys.path.insert(0, os.getcwd())  # entrypoints beside the manifest, as `python` itself would find them
    try:
        with _importing():
            arguments = _parser().parse_args(argv)
        return int(arguments.command(arguments))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


@contextmanager
def _importing() -> Iterator[None]:
    """While libraries are imported, which takes seconds and which an exception may not survive, Ctrl-C ends
    the process on the spot.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os.write(2, b"interrupted: nothing was started\n")
    os._exit(INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    from rl_platform.cli.cluster_commands import add_cluster_commands

    parser = argparse.ArgumentParser(
        prog="rlp", description="Reinforcement learning from a TrainingJob manifest."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="train on this machine")
    run.add_argument("manifest")
    _overrides(run)
    run.add_argument("--output", metavar="DIR", help="the run's folder (default runs/<metadata.name>)")
    taking = run.add_mutually_exclusive_group()
    taking.add_argument("--overwrite", action="store_true", help="replace the run that is in the folder")
    taking.add_argument(
        "--resume", action="store_true", help="go on from the newest checkpoint in the folder"
    )
    run.add_argument("--quiet", action="store_true", help="only errors")
    run.add_argument(
        "--json", action="store_true", help="the result as JSON, the last line of standard output"
    )
    run.set_defaults(command=_run)

    validate = commands.add_parser("validate", help="check manifests without running them")
    validate.add_argument("manifests", nargs="+", metavar="MANIFEST")
    validate.set_defaults(command=_validate)

    evaluate = commands.add_parser("evaluate", help="play greedy episodes with a trained policy")
    evaluate.add_argument(
        "source", metavar="URI_OR_DIR", help="a run's folder, a checkpoint, or models:/NAME@ALIAS"
    )
    evaluate.add_argument("--episodes", type=_whole_from(1), default=100, metavar="N")
    evaluate.add_argument("--seed", type=_whole_from(0), default=10_000, metavar="S")
    evaluate.add_argument("--manifest", help="the job, where the source does not bring its own")
    evaluate.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow's, for models:/ (default: MLFLOW_TRACKING_URI)"
    )
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(command=_evaluate)

    flush = commands.add_parser("flush", help="send MLflow what it did not take during a run")
    flush.add_argument("folder", metavar="DIR")
    flush.set_defaults(command=_flush)

    plot = commands.add_parser("plot", help="learning curves of one or several runs as a PNG")
    plot.add_argument("folders", nargs="+", metavar="DIR")
    plot.add_argument(
        "--output",
        metavar="PNG",
        help="default: learning-curves.png, of one run in its folder, of several here",
    )
    plot.set_defaults(command=_plot)

    algorithms = commands.add_parser("algorithms", help="what there is: fields, defaults, plans")
    algorithms.add_argument("name", nargs="?")
    algorithms.set_defaults(command=_algorithms)

    plan = commands.add_parser("plan", help="print the execution plan of a job without running it")
    plan.add_argument("manifest")
    _overrides(plan)
    plan.set_defaults(command=_plan)

    schema = commands.add_parser("schema", help="JSON schema of a TrainingJob, for editors")
    schema.add_argument("--crd", action="store_true", help="the CustomResourceDefinition instead, as YAML")
    schema.set_defaults(command=_schema)

    add_cluster_commands(commands)
    return parser


def _overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE", help="e.g. spec.seed=3"
    )


def _whole_from(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}, got {text}")
        return value

    return whole


def _run(arguments: argparse.Namespace) -> int:
    with _importing():
        from rl_platform.cli.run import run

    return run(arguments)


def _validate(arguments: argparse.Namespace) -> int:
    with _importing():
        from rl_platform.cli.validate import validate

    return validate(arguments.manifests)


def _evaluate(arguments: argparse.Namespace) -> int:
    with _importing():
        from rl_platform.cli.evaluate import evaluate

    return evaluate(arguments)


def _flush(arguments: argparse.Namespace) -> int:
    with _importing():
        from rl_platform.cli.flush import flush

    return flush(arguments.folder)


def _plot(arguments: argparse.Namespace) -> int:
    with _importing():
        from rl_platform.cli.plot import plot

    return plot(arguments.folders, arguments.output)


def _algorithms(arguments: argparse.Namespace) -> int:
    with _importing():
        from rl_platform.cli.algorithms import algorithms

    return algorithms(arguments.name)


def _plan(arguments: argparse.Namespace) -> int:
    with _importing():
        from rl_platform.cli.plan import plan

    return plan(arguments.manifest, arguments.overrides)


def _schema(arguments: argparse.Namespace) -> int:
    import json

    with _importing():
        from rl_platform.spec.crd import crd_yaml
        from rl_platform.spec.manifest import json_schema

    print(crd_yaml() if arguments.crd else json.dumps(json_schema(), indent=2) + "\n", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
