"""Tables in plain text, and of pages in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["grid", "left_aligned", "markdown"]


def grid(rows: Sequence[Sequence[str]], n_head: int = 1) -> str:
    """Columns of equal width, the first to the left; a rule under the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *others = widths
    lines = ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]
    lines.insert(n_head, "-" * len(lines[0]))
    return "\n".join(lines)


def left_aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, all to the left; a rule under the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
