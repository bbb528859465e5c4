"""Fill the tables of benchmarks/README.md from the result files: `python -m benchmarks.pages`.

In: the page, with a block `<!-- from results/NAME.md -->` ... `<!-- end -->` for each file. Out: the page with that
file's text between the marks, all but its title and its section "Settings". A test sees that the page is what this
writes.
"""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "benchmarks" / "README.md"
BLOCK = re.compile(r"(<!-- from (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
LEFT_OUT = re.compile(r"^## Settings\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def quoted(text: str) -> str:
    """What a page says of a result file: no title, no settings, headings one step lower."""
    body = LEFT_OUT.sub("", re.sub(r"\A# .*\n", "", text))
    return re.sub(r"^##", "###", body, flags=re.MULTILINE).strip()


def filled(page: str, project: Path = PROJECT) -> str:
    """The page with every block written anew.

    Raises:
        FileNotFoundError: a block names a file that is not there.
    """

    def fill(block: re.Match[str]) -> str:
        return f"{block[1]}\n{quoted((project / block[2]).read_text(encoding='utf-8'))}\n\n{block[3]}"

    return BLOCK.sub(fill, page)


def main() -> None:
    """Write the page."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
