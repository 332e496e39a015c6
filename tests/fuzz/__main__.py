"""Feed every reader with files a little wrong until the time is over, and keep what breaks one.

    python -m tests.fuzz                         every target, a minute each
    python -m tests.fuzz plan claims --seconds 600
    python -m tests.fuzz.guided record           one target, guided by coverage; needs Atheris

The suite does the same with a few hundred files of fixed seeds (tests/test_untrusted_fuzz.py). A finding is an error
that is no refusal, or a file that takes longer than five seconds. It is kept below --keep with its number, by which the
same file is made again; make a test of it first, and then the guard.
"""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random

from tests.fuzz.mutation import mutate
from tests.fuzz.targets import TARGETS, Target

LONGEST = 5  # seconds for one small file


def main() -> int:
    """1 where something was found, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default: 60)")
    parser.add_argument("--first", type=int, default=0, help="number of the first file (default: 0)")
    parser.add_argument("--keep", type=Path, default=Path("findings"), help="folder for what breaks a reader")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {min(unknown)!r}; the targets are {', '.join(TARGETS)}")
    chosen = [TARGETS[name] for name in options.targets or TARGETS]
    return max([campaign(target, options.seconds, options.first, options.keep) for target in chosen])


def campaign(target: Target, seconds: float, first: int, keep: Path) -> int:
    """Files FIRST, FIRST + 1, … for TARGET until SECONDS are over; each kind of error is told once."""
    seeds, ends, number, told = target.seeds(), time.monotonic() + seconds, first, set[str]()
    signal.signal(signal.SIGALRM, _stop)
    with tempfile.TemporaryDirectory() as place:
        target.prepare(Path(place))
        while time.monotonic() < ends:
            content = make_file(seeds, number)
            signal.alarm(LONGEST)
            try:
                target.try_out(content, Path(place))
            except Exception as error:  # noqa: BLE001 - whatever breaks a reader is what is looked for
                signal.alarm(0)
                where = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
                if kind not in told:
                    told.add(kind)
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{target.name}-{number}").write_bytes(content)
                    print(f"{target.name} {number}: {kind}: {str(error)[:200]}", flush=True)
            signal.alarm(0)
            number += 1
    print(f"{target.name}: {number - first:,} files, {len(told)} findings", flush=True)
    return int(bool(told))


def make_file(seeds: list[bytes], number: int) -> bytes:
    """The file with this NUMBER: one of SEEDS with faults."""
    random = Random(number)
    return mutate(random.choice(seeds), random)


def _stop(*_: object) -> None:
    raise TimeoutError(f"not done after {LONGEST} s")


if __name__ == "__main__":
    sys.exit(main())
