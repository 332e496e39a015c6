"""One reader fed with files that reach new code of it, as Atheris finds them; the process ends at the first finding.

    python -m tests.fuzz.guided record --seconds 600

Needs `pip install atheris`, which is in no lock: it has wheels for Linux only, and the suite does without.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

from tests.fuzz.mutation import mutate

INSTRUMENTED = ["experiments", "report", "convmixer"]
with atheris.instrument_imports(include=INSTRUMENTED):
    from tests.fuzz.targets import TARGETS

LONGEST = 5  # seconds for one small file


def main() -> None:
    """Never returns: libFuzzer ends the process, with 0 where nothing was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.guided", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", type=Path, default=Path("findings"), help="folder for what breaks the reader")
    options = parser.parse_args()
    target, folder = TARGETS[options.target], Path(tempfile.mkdtemp(prefix=f"{options.target}-"))
    target.prepare(folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    with atheris.instrument_imports(include=INSTRUMENTED):
        for number, seed in enumerate(target.seeds()):
            (corpus / str(number)).write_bytes(seed)
            target.try_out(seed, folder)  # imports what it reads by
    options.keep.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={options.seconds}", f"-timeout={LONGEST}", "-rss_limit_mb=2048"]
    atheris.Setup(
        [sys.argv[0], str(corpus), *limits, f"-artifact_prefix={options.keep}/{target.name}-"],
        lambda content: target.try_out(content, folder),
        custom_mutator=lambda content, most, seed: mutate(content, Random(seed))[:most],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
