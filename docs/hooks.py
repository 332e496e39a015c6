"""What MkDocs calls: gives the modules pages, which mkdocstrings fills, and a page that lists them.

They are made here and not tracked, for nobody reads them in the repository: there are the modules themselves.
"""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the list of modules and a page a module."""
    files.append(File.generated(config, "reference/modules.md", content=generate.module_list()))
    for package in generate.PACKAGES:
        for name in generate.modules(package):
            text = f"---\ntitle: {name}\n---\n\n# {name}\n\n::: {name}\n    options:\n      show_root_heading: false\n"
            page = File.generated(config, f"reference/modules/{name}.md", content=text)
            page.inclusion = page.inclusion.NOT_IN_NAV
            files.append(page)
    return files
