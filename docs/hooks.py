"""What MkDocs calls: puts generated parts in where a page says `<!-- generated: NAME -->`, and gives modules pages."""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent)]

import generate

_MARK = re.compile(r"<!-- generated: (\S+) -->")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page a module, which mkdocstrings fills from the docstrings."""
    for package in generate.PACKAGES:
        for name in generate.modules(package):
            text = f"---\ntitle: {name}\n---\n\n# {name}\n\n::: {name}\n    options:\n      show_root_heading: false\n"
            page = File.generated(config, f"reference/modules/{name}.md", content=text)
            page.inclusion = page.inclusion.NOT_IN_NAV
            files.append(page)
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts the generated parts in. Raises PluginError for a part that does not exist."""

    def put(found: re.Match[str]) -> str:
        if found[1] not in generate.PARTS:
            raise PluginError(f"no part is called {found[1]!r}; there are {', '.join(generate.PARTS)}")
        return generate.PARTS[found[1]]()

    return _MARK.sub(put, markdown)
