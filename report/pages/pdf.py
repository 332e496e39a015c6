"""The PDF: by the embedded typesetter, or by latexmk where TeX is installed; the same sources give the same bytes."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

from experiments.spec import MissingTool, ReproductionError

ENGINES = ("typst", "latexmk")
TYPESETTING_SECONDS = 900  # of a report with a thousand tables on a busy machine; what takes longer does not end
# TeX reads and writes below its folder alone and starts no program, whatever its own settings allow.
CONFINED = {"openin_any": "p", "openout_any": "p", "shell_escape": "f"}
# What the typesetter frees goes back to the system at once, and one thread holds less than several: 4 % of its memory.
THRIFTY = {"MALLOC_MMAP_THRESHOLD_": "65536", "RAYON_NUM_THREADS": "1"}
EPOCH = "946684800"  # 2000-01-01: the date that the typesetter writes where it must write one
# Letters that have a command of their own in LaTeX; omicron has none.
_GREEK = frozenset(
    {
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "chi",
        "psi",
        "omega",
    }
)
_STANDINS = {
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "↔": r"\leftrightarrow",
    "−": "-",
    "≥": r"\geq",
    "≤": r"\leq",
    "≈": r"\approx",
    "≠": r"\neq",
    "∞": r"\infty",
    "√": r"\surd",
    "✓": r"\checkmark",
    "✗": r"\boldsymbol{\times}",
    "◐": r"\odot",
    "○": r"\circ",
    "·": r"\cdot",
}
# Latin, and the punctuation that every text font of TeX has.
_COMMON = re.compile(
    r"[\x00-\u017f\u2002-\u200b\u2010-\u2015\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)


def standins(text: str) -> list[tuple[str, str, str]]:
    """The characters of TEXT that a TeX font may lack, each with its code and the LaTeX that stands in for it."""
    rare = sorted(character for character in set(text) if not _COMMON.match(character))
    return [(character, f"{ord(character):04X}", _standin(character)) for character in rare]


def _standin(character: str) -> str:
    if character in _STANDINS:
        return rf"\ensuremath{{{_STANDINS[character]}}}"
    words = unicodedata.name(character, "").lower().split()
    if words[:1] == ["greek"] and words[-1] in _GREEK and len(words) == 4 and words[1] == "small":
        return rf"\ensuremath{{\{words[-1]}}}"
    return rf"\missing{{{ord(character):04X}}}"


# Run in a process of its own: what the typesetter holds for a long table would otherwise stay with the build until it
# ends.
_TYPESET = """
import sys, typst
source, root, timestamp, ignored = sys.argv[1:]
try:
    made = typst.compile(source, root=root, ignore_system_fonts=ignored == "True", timestamp=int(timestamp))
except typst.TypstError as error:
    sys.exit(str(error))
sys.stdout.buffer.write(made)
"""


def pdf_by_typst(source: Path) -> bytes:
    """The PDF of SOURCE, with the fonts of the wheel only, so that every machine makes the same."""
    command = [sys.executable, "-c", _TYPESET, source, source.parent, EPOCH, str(_needs_no_other_font(source))]
    environment = {**os.environ, **THRIFTY}
    try:
        run = subprocess.run(command, capture_output=True, check=False, timeout=TYPESETTING_SECONDS, env=environment)
    except subprocess.TimeoutExpired as error:
        raise ReproductionError(f"typst is not done with {source.name} after {TYPESETTING_SECONDS} s") from error
    if run.returncode:
        said = run.stderr.decode("utf-8", "replace").strip()
        raise ReproductionError(f"typst refuses {source.name}: {said}")
    return run.stdout


def _needs_no_other_font(source: Path) -> bool:
    """Whether the embedded fonts have all characters; for Chinese or Arabic those of the machine are asked too."""
    return not re.search(r"[\u0590-\u1dff\u2e80-\ufaff\U00020000-\U0003ffff]", source.read_text(encoding="utf-8"))


def pdf_of_svg(folder: Path, name: str) -> bytes:
    """FOLDER/<name>.svg as a PDF of its own size, for LaTeX; vectors stay vectors."""
    import typst

    page = f'#set page(width: auto, height: auto, margin: 0pt)\n#image("{name}.svg")'
    with tempfile.NamedTemporaryFile("w", suffix=".typ", dir=folder, encoding="utf-8") as file:
        file.write(page)
        file.flush()
        return typst.compile(file.name, root=folder, ignore_system_fonts=True, timestamp=int(EPOCH), pdf_tags=False)


def pdf_by_latexmk(folder: Path) -> bytes:
    """The PDF of FOLDER/report.tex by latexmk and xelatex, built beside it in a temporary folder.

    Raises MissingTool where latexmk or xelatex is not installed, ReproductionError with TeX's own words where it fails.
    """
    return _by_latexmk(folder, ".pdf")


def log_of_latexmk(folder: Path) -> str:
    """TeX's log of FOLDER/report.tex, its lines not broken; raises as `pdf_by_latexmk` does."""
    return _by_latexmk(folder, ".log").decode("utf-8", "replace")


def _by_latexmk(folder: Path, suffix: str) -> bytes:
    for tool in ("latexmk", "xelatex"):
        if shutil.which(tool) is None:
            raise MissingTool(f"{tool} is not there; install TeX Live (latexmk, xelatex) or build with --pdf typst")
    with tempfile.TemporaryDirectory() as place:
        # Without -norc it would run a latexmkrc, which is Perl, from the folder.
        command = ["latexmk", "-norc", "-xelatex", "-latexoption=-no-shell-escape", "-interaction=nonstopmode"]
        command += ["-halt-on-error", f"-outdir={place}", "report.tex"]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
        environment |= CONFINED
        words = {"capture_output": True, "text": True, "errors": "replace", "timeout": TYPESETTING_SECONDS}
        try:
            run = subprocess.run(command, cwd=folder, env=environment, check=False, **words)
        except subprocess.TimeoutExpired as error:
            raise ReproductionError(f"latexmk is not done with report.tex after {TYPESETTING_SECONDS} s") from error
        made = Path(place, f"report{suffix}")
        if run.returncode or not made.is_file():
            raise ReproductionError(f"latexmk refuses report.tex:\n{_tex_error(run.stdout)}")
        return made.read_bytes()


def _tex_error(log: str) -> str:
    """The lines of a TeX log that say what is wrong."""
    lines = log.splitlines()
    wrong = [index for index, line in enumerate(lines) if line.startswith("!")]
    return "\n".join(lines[wrong[0] : wrong[0] + 8]) if wrong else "\n".join(lines[-8:])
