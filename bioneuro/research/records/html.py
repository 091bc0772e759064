"""Pages in HTML that need nothing but themselves: text, tables that can be sorted, figures.

Every text is escaped. Functions return markup, which `section`, `folded` and `page` put together.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["bullets", "code", "folded", "page", "paragraph", "picture", "section", "table"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #666; --line: #ddd; --stripe: #f5f5f5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181c; --faint: #a0a0a0; --line: #3a3d44; --stripe: #1f2228; }
}
body { max-width: 84rem; margin: 2rem auto; padding: 0 1rem; background: var(--paper); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
p, li { max-width: 48rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; }
tr, th:first-child, td:first-child { background: var(--paper); }
tbody tr:nth-child(even), tbody tr:nth-child(even) td:first-child { background: var(--stripe); }
.texts th, .texts td { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 4rem; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid; outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { color: var(--faint); font-size: .85rem; }
img { box-sizing: border-box; width: 100%; background: #fff; border-radius: 4px; padding: .5rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .7rem; background: var(--stripe); }
summary { cursor: pointer; font-weight: 600; }
"""

# A column is one of numbers if every cell that has something begins with one ("≤ 61.2 ± 0.4"); others sort as text.
SCRIPT = """
const empty = text => text === "-" || text === "" || text === "nan";
const number = text => parseFloat(text.replace(/^≤ /, "").replace(/^([-+]?)inf/, "$1Infinity"));
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const body = table.tBodies[0];
      const rows = [...body.rows].map(row => [row.cells[column].textContent.trim(), row]);
      const filled = rows.filter(([text]) => !empty(text));
      const numeric = filled.every(([text]) => !isNaN(number(text)));
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      filled.sort(([a], [b]) => sign * (numeric ? number(a) - number(b) || 0 : a.localeCompare(b)));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      body.append(...filled.concat(rows.filter(([text]) => empty(text))).map(([, row]) => row));
    });
  });
}
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
<script>{script}</script>
</body>
</html>
"""


def page(title: str, blocks: Iterable[str]) -> str:
    """A whole page; a browser that shows it asks for no other file."""
    return PAGE.format(title=escape(title), style=STYLE, script=SCRIPT, body="\n".join(blocks))


def section(title: str, *blocks: str) -> str:
    return "\n".join([f"<section>\n<h2>{escape(title)}</h2>", *blocks, "</section>"])


def folded(title: str, *blocks: str) -> str:
    """Blocks that open at a click."""
    return "\n".join([f"<details>\n<summary>{escape(title)}</summary>", *blocks, "</details>"])


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    return "\n".join(["<ul>", *(f"<li>{escape(text)}</li>" for text in texts), "</ul>"])


def code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def table(frame: pd.DataFrame, *, texts: bool = False) -> str:
    """The rows of a frame of str, without its index; a click on a heading sorts them.

    Parameters
    ----------
    frame : DataFrame
    texts : bool
        Columns to the left and long cells on several lines, as words are; numbers stay on one, to the right.
    """
    import pandas as pd

    with pd.option_context("display.max_colwidth", None):
        made = frame.to_html(index=False, border=0, justify="unset", classes=["texts"] if texts else None)
    return f'<div class="wide">\n{made}\n</div>'


def picture(figure: Figure, caption: str) -> str:
    """A figure as vector graphics within the page, on white in the dark too, since its lines may be black."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "bioneuro"}):  # the same figure is the same page: no random ids, no date
        figure.savefig(file, format="svg", metadata={"Date": None})
    data, caption = base64.b64encode(file.getvalue()).decode(), escape(caption)
    return (
        f'<figure>\n<img alt="{caption}" src="data:image/svg+xml;base64,{data}">\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )
