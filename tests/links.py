"""What a reader sees of a page: its text without the links that its numbers are."""

import re


def without_links(markdown: str) -> str:
    """MARKDOWN with each number as it reads."""
    return re.sub(r"\[((?:[^\[\]\\]|\\.)*)\]\(#(?:cell|from):[^)]+\)", r"\1", markdown)
