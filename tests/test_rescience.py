"""The journal's folder holds the same paper, cut where the journal cuts it and cited as biblatex wants it."""

import shutil
import subprocess
from pathlib import Path

import pypdf
import pytest
import yaml

from experiments.spec import ReproductionError
from report.pages.compose import Composer, Drawing
from report.pages.rescience import cite, cut
from tests.small_paper import HOSTILE, METADATA, context, make_paper
from tests.small_paper import figures as small_figures

BODY = r"""\section*{Summary}

\textbf{Scope} --- We see {[}\citeproc{ref-a2020}{1}{]}.

\newpage

\section{Body}

Both {[}\citeproc{ref-b:2}{2}, \citeproc{ref-a2020}{1}{]} agree.

\section*{References}\label{references}

\begin{CSLReferences}{0}{0}
\bibitem[\citeproctext]{ref-a2020}
\CSLLeftMargin{{[}1{]} }%
\end{CSLReferences}

\appendix

\section{Runs}
"""


def test_the_body_is_cut_into_the_journals_files() -> None:
    made = cut(BODY)
    assert made.summary == "\\section*{Summary}\n\n\\subsubsection*{Scope} We see \\cite{a2020}."
    assert made.content == "\\section{Body}\n\nBoth \\cite{b:2,a2020} agree."
    assert made.appendix == "\\section{Runs}"


def test_a_paper_without_appendix_is_cut_too() -> None:
    assert cut(BODY.partition("\n\\appendix")[0]).appendix == ""


def test_a_paper_without_citations_has_only_the_heading() -> None:
    body = BODY[: BODY.index("\\begin{CSL")] + BODY[BODY.index("\\appendix") :]
    assert cut(body).content == cut(BODY).content


@pytest.mark.parametrize("missing", ["\\newpage\n", "\\section*{References}"])
def test_a_body_of_another_shape_is_refused(missing: str) -> None:
    with pytest.raises(ReproductionError, match="cannot be cut into the journal's files"):
        cut(BODY.replace(missing, ""))


def test_a_citation_that_biblatex_cannot_be_given_is_refused() -> None:
    with pytest.raises(ReproductionError, match="a citation that biblatex cannot be given"):
        cite(r"see {[}\citeproc{ref-a}{1, p.~3}{]}")


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The journal's folder of a small paper with hostile text wherever text can stand."""
    folder = tmp_path_factory.mktemp("paper")
    out = folder / "out"
    for name in ("tables", "figures"):
        (out / name).mkdir(parents=True)
    paper = make_paper(folder / "root", root)
    svg = out / "figures/demo.svg"
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M1 1h7"/></svg>'
    svg.write_text(drawing, encoding="utf-8")
    # The class reads the metadata before anything of ours: there the font decides which letters there are.
    latin = {**METADATA, "title": METADATA["title"].replace("μ", "").replace("中", "")}
    latin["authors"] = [{**METADATA["authors"][0], "name": "Ann B. Lee"}]
    latin["affiliations"] = [{"code": "1", "name": "Institute & Co", "address": ""}]
    filled = context(HOSTILE, metadata=latin)
    kept = folder / "demo.svg"
    kept.write_text(drawing, encoding="utf-8")
    Composer(paper, filled, small_figures(HOSTILE), out).write(("latex",), "typst", {"demo": Drawing(svg, kept, None)})
    return out / "rescience"


def test_it_holds_what_the_journals_template_inputs(submission: Path) -> None:
    names = {path.name for path in submission.iterdir()}
    assert names == {
        "appendix.tex", "article.tex", "bibliography.bib", "content.tex", "figures", "metadata.tex", "metadata.yaml",
        "packages.tex", "plain.tex", "summary.tex",
    }  # fmt: skip
    metadata = yaml.safe_load((submission / "metadata.yaml").read_text(encoding="utf-8"))
    assert metadata["bibliography"] == "bibliography.bib"
    assert r"\cite{he2016deep}" in (submission / "summary.tex").read_text(encoding="utf-8")


def test_it_defines_no_command_of_the_journals_packages(submission: Path) -> None:
    """A plain \\newcommand of a name that caption, biblatex or the class already has would stop the journal's build."""
    packages = (submission / "packages.tex").read_text(encoding="utf-8")
    for taken in ("captiontext", "captionfont", "orcid", "doi", "supercite", "iconbox", "container"):
        assert f"\\newcommand{{\\{taken}}}" not in packages
    assert "usepackage{xcolor}" not in packages and "fontenc" not in packages


@pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not installed")
def test_latexmk_makes_the_article_of_it_without_the_journals_class(submission: Path, tmp_path: Path) -> None:
    shutil.copytree(submission, tmp_path / "a")
    command = ["latexmk", "-xelatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    run = subprocess.run(command, cwd=tmp_path / "a", capture_output=True, text=True, errors="replace", check=False)
    assert run.returncode == 0, run.stdout[-3000:]
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "a/article.pdf").pages)
    log = (tmp_path / "a/article.log").read_text(encoding="utf-8", errors="replace")
    assert "deep residual learning" in " ".join(text.split()).lower()  # the bibliography, by bibtex
    assert "undefined" not in log.lower()
    assert "Missing character" not in log
