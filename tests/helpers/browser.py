"""A headless browser that shows what a page does: whether anything in it has run."""

import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here (apt install chromium)")
HIT = "document.documentElement.dataset.hit=1"
HOSTILE = (
    f"<script>{HIT}</script>",
    f'<img src="x" onerror="{HIT}">',
    f'<svg onload="{HIT}">',
    f"<svg><script>{HIT}</script></svg>",
    f'"><script>{HIT}</script>',
    f"'><img src=x onerror={HIT}>",
    f'x" onerror="{HIT}',
    f"</title></style></textarea><script>{HIT}</script>",
    f"</td></tr></table><img src=x onerror={HIT}>",
    f"</code></pre><img src=x onerror={HIT}>",
    f'<iframe srcdoc="<script>parent.{HIT}</script>"></iframe>',
    f'<details open ontoggle="{HIT}">',
    f"<input autofocus onfocus={HIT}>",
    f"[x](javascript:{HIT})",
    f'![x](x"onerror="{HIT})',
    f'`<img src="x" onerror="{HIT}">',
    f"&lt;script&gt;{HIT}&lt;/script&gt;",
    f"\\<script>{HIT}\\</script>",
    f'$<img src="x" onerror="{HIT}">$',
    f"$$\\href{{javascript:{HIT}}}{{x}}$$",
    f"<!--><img src=x onerror={HIT}>-->",
    f"<math><mtext><img src=x onerror={HIT}></mtext></math>",
    f"<ScRiPt\n>{HIT}</sCrIpT>",
    f'one | <img src="x" onerror="{HIT}"> | two',
    f"```\n<img src=x onerror={HIT}>\n```",
    f'\n\n<img src="x" onerror="{HIT}">\n\n',
    f'<a href="javascript:{HIT}">x</a>',
    f"<img src=x onerror\x0c=\x0c{HIT}>",
)


def shown_by_browser(page: Path) -> str:
    """The page as it is once it has been loaded and its scripts have run."""
    assert BROWSER is not None
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom")
    done = subprocess.run([BROWSER, *options, page.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    assert "</html>" in done.stdout, done.stderr
    return done.stdout


def is_hit(dom: str) -> bool:
    """Whether something of `HOSTILE` has run."""
    return "data-hit" in dom[: dom.index(">", dom.index("<html"))]
