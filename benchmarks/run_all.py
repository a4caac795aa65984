"""Every claim about speed, measured: this library and its peers in turn, several rounds, medians, ratio and spread.

    python benchmarks/run_all.py [--rounds 3] [--quick] [--prototype PATH] [--only NAME ...] [--readme]

Our side is always `rlp run` as a subprocess with its default tracking and checkpoints; every process has one thread.
Speeds are env steps per second of training, counted on both sides from the end of the first iteration (for DQN from
when learning has begun, for ours with rollout workers later, see `Claim`) to the end of the last, checkpoints and
tracking included. Peers live in environments of their own (`make bench-setup`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LIMIT_SECONDS = 900
"""Of one process, ours or a peer's: one that hangs is no measurement."""
ENVIRONMENT = {
    **os.environ,
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class Claim:
    """Ours against a peer's: ``bound`` is the ratio of speeds that must be reached, if one must, ``goal`` the one hoped
    for.

    ``counted``: what a speed is of, ``envSteps`` or ``updates``. Our clock starts ``after`` so many env steps. With
    rollout workers that is once MLflow's client is imported, which takes some seconds of a core that they need.
    """

    name: str
    title: str
    job: str
    peer: str
    peer_steps: int
    our_steps: int
    bound: float | None
    goal: float | None = None
    after: int = 1024
    counted: str = "envSteps"

    @property
    def unit(self) -> str:
        return {"envSteps": "env steps", "updates": "updates"}[self.counted]


CLAIMS = (
    Claim(
        "sb3", "PPO CartPole, 8 environments", "ppo-cartpole", "sb3:ppo-cartpole", 100_000, 300_000, 3.0, 4.0
    ),
    Claim(
        "rllib",
        "PPO CartPole, 8 environments",
        "ppo-cartpole",
        "rllib:ppo-cartpole",
        40_000,
        300_000,
        7.0,
        10.0,
    ),
    Claim("prototype", "PPO CartPole, 8 environments", "ppo-cartpole", "prototype", 0, 300_000, 0.85),
    Claim(
        "native",
        "PPO, native vector environment, 1,024 lanes, 1 epoch of 2,048-row minibatches",
        "ppo-native",
        "sb3:ppo-native",
        2_000_000,
        6_000_000,
        3.0,
        after=1_500_000,
    ),
    Claim(
        "image", "PPO, 84×84×4 images, Nature network", "ppo-image", "sb3:ppo-image", 5_120, 6_144, 1.35, 1.5
    ),
    Claim(
        "dqn",
        "DQN CartPole, an update every 4 env steps",
        "dqn-cartpole",
        "sb3:dqn-cartpole",
        20_000,
        40_000,
        2.5,
        after=2_000,
    ),
    Claim(
        "ppo2",
        "PPO CartPole, 2 rollout workers of 4 environments",
        "ppo-two-workers",
        "rllib:ppo-two-runners",
        40_000,
        600_000,
        8.0,
        after=200_000,
    ),
    Claim(
        "impala2",
        "IMPALA CartPole, 2 rollout workers of 4 environments",
        "impala-two-workers",
        "rllib:impala-two-runners",
        40_000,
        1_500_000,
        12.0,
        after=400_000,
    ),
    Claim(
        "impala-learner",
        "IMPALA CartPole, 2 rollout workers of 4 environments, a learner beside them",
        "impala-learner",
        "rllib:impala-learner",
        30_000,
        600_000,
        None,
        after=200_000,
    ),
    Claim(
        "apex2",
        "Ape-X CartPole, 2 rollout workers, replay, a learner; RLlib: DQN with 2 env runners",
        "apex-two-workers",
        "rllib:dqn-two-runners",
        3_000,
        40_000,
        2.5,
        after=2_000,
        counted="updates",
    ),
)


def main() -> int:
    arguments = _arguments()
    rows, wrong = [], False
    for claim in CLAIMS:
        if arguments.only and claim.name not in arguments.only:
            continue
        peer = _peer(claim, arguments)
        if peer is None:
            print(f"{claim.name}: skipped, its peer is not there (make bench-setup; --prototype PATH)")
            continue
        row = measure(claim, peer, arguments)
        rows.append(row)
        wrong |= claim.bound is not None and row["ratio"] < claim.bound
        print(_line(row), flush=True)
    start = start_up(arguments.rounds)
    print(
        f"start: rlp run reaches its first env step in {start['ours']:.2f} s, import torch takes {start['torch']:.2f} s"
    )
    results = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "claims": rows, "start": start}
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    if arguments.readme:
        write_readme(results)
    return int(wrong)


def measure(claim: Claim, peer: Callable[[], float], arguments: argparse.Namespace) -> dict:
    """Rounds of peer, ours, in turn; the first of each warms caches and is thrown away."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(arguments.rounds + (0 if arguments.quick else 1)):
        theirs.append(peer())
        steps = max(claim.our_steps // 10, 3 * claim.after) if arguments.quick else claim.our_steps
        ours.append(run_ours(claim.job, steps, claim.after, claim.counted)["speed"])
        if number == 0 and not arguments.quick:
            ours, theirs = [], []
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "name": claim.name,
        "title": claim.title,
        "unit": claim.unit,
        "peer": claim.peer.split(":")[0],
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "bound": claim.bound,
        "goal": claim.goal,
    }


def run_ours(job: str, steps: int, after: int = 0, counted: str = "envSteps") -> dict:
    """The result of ``rlp run`` on one of the jobs here, with its ``speed`` from ``after`` env steps on."""
    with tempfile.TemporaryDirectory(prefix="rlp-bench-") as folder:
        command = [
            str(Path(sys.executable).parent / "rlp"),
            "run",
            f"jobs/{job}.yaml",
            "--output",
            f"{folder}/run",
        ]
        command += ["--quiet", "--json", "--set", f"spec.stop.envSteps={steps}"]
        result: dict = json.loads(_output(command).strip().splitlines()[-1])
        result["speed"] = _speed(Path(folder) / "run" / "progress.jsonl", after, counted)
        return result


def _speed(progress: Path, after: int, counted: str) -> float:
    """What is ``counted``, per second between the first report with ``after`` env steps or more and the last one."""
    reports = [json.loads(line) for line in progress.read_text().splitlines()]
    first, last = next(each for each in reports if each["envSteps"] >= after), reports[-1]
    if first is last:
        raise SystemExit(f"{progress} has no report beyond {after} env steps: give the run more env steps")
    return (last[counted] - first[counted]) / (last["time"] - first["time"])


def start_up(rounds: int) -> dict[str, float]:
    """Seconds from process start to the first env step, beside an import of torch alone."""
    ours, torch = [], []
    for _ in range(rounds):
        script = "import time; t = time.perf_counter(); import torch; print(time.perf_counter() - t)"
        out = subprocess.run(
            [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        torch.append(float(out.stdout))
        ours.append(run_ours("ppo-cartpole", 2048)["startupSeconds"])
    return {"ours": statistics.median(ours), "torch": statistics.median(torch)}


def _peer(claim: Claim, arguments: argparse.Namespace) -> Callable[[], float] | None:
    kind, _, task = claim.peer.partition(":")
    if kind == "prototype":
        path = arguments.prototype
        return (lambda: _prototype(path)) if path and Path(path).is_file() else None
    python = ROOT / f".venv-peers-{kind}" / "bin" / "python"
    if not python.exists():
        return None
    steps = claim.peer_steps // (2 if arguments.quick else 1)
    command = [str(python), str(HERE / "peers" / f"{kind}.py"), task, str(steps)]
    speed = f"{claim.counted}PerSecond"
    return lambda: float(json.loads(_output(command).strip().splitlines()[-1])[speed])


def _prototype(path: str) -> float:
    found = re.search(r"(\d+) steps/s", _output([sys.executable, path, "10"]))
    if found is None:
        raise SystemExit(f"{path} printed no speed")
    return float(found.group(1))


def _output(command: list[str]) -> str:
    try:
        run = subprocess.run(
            command,
            cwd=HERE,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise SystemExit(f"{' '.join(command)} did not end within {LIMIT_SECONDS} s") from error
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{run.stderr[-3000:]}")
    return run.stdout


def _line(row: dict) -> str:
    asked = ""
    if row["bound"] is not None:
        asked = f", asked {row['bound']}×: {'holds' if row['ratio'] >= row['bound'] else 'MISSED'}"
    return (
        f"{row['title']} against {row['peer']}: {row['ours']:,.0f} to {row['theirs']:,.0f} {row['unit']}/s, "
        f"{row['ratio']:.2f}× ({row['low']:.2f} to {row['high']:.2f}){asked}"
    )


def write_readme(results: dict) -> None:
    """Put the table between the README's markers; rows that were not measured stay."""
    names = {"sb3": "Stable-Baselines3", "rllib": "RLlib, new stack", "prototype": "hand-written prototype"}
    readme = ROOT / "README.md"
    text = readme.read_text()
    lines = ["| task | env steps/s | peer | the peer's | ratio (range) |", "|---|---|---|---|---|"]
    measured = {row["name"]: row for row in results["claims"]}
    for claim in CLAIMS:
        row, peer = measured.get(claim.name), names[claim.peer.partition(":")[0]]
        if row is None:  # what was measured last
            lines += [
                it for it in text.splitlines() if it.startswith(f"| {claim.title} |") and f"| {peer} |" in it
            ]
            continue
        unit = "" if row["unit"] == "env steps" else f" {row['unit']}/s"
        lines.append(
            f"| {row['title']} | {row['ours']:,.0f}{unit} | {peer} | {row['theirs']:,.0f}{unit} "
            f"| {row['ratio']:.1f}× ({row['low']:.1f} to {row['high']:.1f}) |"
        )
    start = results["start"]
    lines += [
        "",
        f"`rlp run` reaches its first env step in {start['ours']:.1f} s where `import torch` takes "
        f"{start['torch']:.1f} s. One thread per process, {results['machine']}, rounds in turn, medians.",
    ]
    body = "\n".join([*lines, ""])
    pattern = r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->)"
    readme.write_text(re.sub(pattern, lambda match: f"{match[1]}{body}{match[2]}", text, flags=re.S))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--quick", action="store_true", help="few steps, no warm-up: only to see that all of it runs"
    )
    parser.add_argument("--prototype", help="the prototype's file")
    parser.add_argument("--only", nargs="*", help=f"of {', '.join(claim.name for claim in CLAIMS)}")
    parser.add_argument("--readme", action="store_true", help="write the README's table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
