"""The page around the blocks: its title, its style, its table of contents.

In: Markdown tokens. Out: the text of `report.html`.
"""

from collections.abc import Iterator

from saelib.batch.page.markup import HIGHEST, Token, as_html, contents, number_headings
from saelib.results.text import escape_html

# One policy for the whole page: nothing is fetched and nothing runs, whatever got into it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { --line: #d9dde3; --quiet: #59636e; --link: #0b57a4; }
body { max-width: 58rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; color: #1b1f24; background: #fff;
       font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.75rem; line-height: 1.2; }
h2 { margin-top: 2.5rem; padding-bottom: .25rem; border-bottom: 2px solid var(--line); }
h3 { margin-top: 1.75rem; }
a { color: var(--link); }
nav { padding: .5rem 1rem; background: #f6f8fa; border-radius: .3rem; font-size: .925rem; }
nav ol { margin: 0; padding: 0; list-style: none; }
nav ol ol { display: inline; font-size: .875rem; }
nav ol ol li { display: inline; }
nav ol ol li::before { content: " · "; color: var(--quiet); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .75rem 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .65rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
         overflow-wrap: anywhere; min-width: 4.5rem; }
th { border-bottom: 2px solid #8b949e; }
td a { white-space: nowrap; }
.box { margin: 1rem 0; padding: .25rem 1.1rem; border: 1px solid; border-left-width: .4rem; border-radius: .3rem; }
.check { margin: .5rem 0; padding: 0 .75rem; border-width: 0 0 0 .2rem; border-color: #7fb88f; color: var(--quiet);
         font-size: .875rem; }
.check p { margin: .25rem 0; }
.answer { border-color: #2f6fb2; background: #f0f6fc; }
.warning { border-color: #b7791f; background: #fff8e6; }
td.verdict { font-weight: 600; }
td.yes { background: #dff3e4; color: #14532d; }
td.no { background: #fde3e1; color: #7f1d1d; }
td.open, td.in-part { background: #fff1cc; color: #6b4700; }
td.not-tested { background: #eceff2; color: #3d444d; }
figure { margin: 1.25rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption, .quiet { color: var(--quiet); font-size: .9rem; }
details { margin: .5rem 0; }
summary { cursor: pointer; }
code { font-size: .9em; }
pre { overflow-x: auto; padding: .5rem; background: #f6f8fa; }
@media print { details > * { display: block; } }
"""


def page(title: str, opening: list[Token], body: list[Token]) -> str:
    """The whole page: what opens it, its table of contents, and what follows.

    Args:
        title: of the browser's window.
        opening: blocks above the table of contents.
    """
    numbered = number_headings(opening + body)
    opening, body = numbered[: len(opening)], numbered[len(opening) :]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape_html(title)}</title>
<style>{STYLE}</style>
</head>
<body>
{as_html(opening)}
<nav aria-label="Contents"><ol>
{"".join(_entries(body))}</ol></nav>
<main>
{as_html(body)}
</main>
</body>
</html>
"""


def _entries(body: list[Token]) -> Iterator[str]:
    """A line for each heading of level 2, with those of level 3 inside it."""
    chapters: list[tuple[str, list[str]]] = []
    for level, anchor, words in contents(body):
        link = f'<a href="#{anchor}">{escape_html(words)}</a>'
        if level == HIGHEST or not chapters:
            chapters.append((link, []))
        else:
            chapters[-1][1].append(f"<li>{link}</li>")
    for link, sections in chapters:
        inner = f"<ol>{''.join(sections)}</ol>" if sections else ""
        yield f"<li><strong>{link}</strong>{inner}</li>\n"
