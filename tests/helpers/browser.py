"""A page as people see it: Chromium lays it out at several widths, and says what does not fit."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# A phone in the hand, a larger one, a tablet, a laptop.
WIDTHS = (360, 400, 768, 1280)
SMALLEST_LETTERS = 8  # pixels

_MEASURE = """
function faults(page, width) {
  const found = [], style = page.defaultView.getComputedStyle;
  const words = e => `${e.tagName} "${e.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)}"`;
  const say = (fault, e) => found.push(`${fault}: ${words(e)}`);
  const box = e => e.getBoundingClientRect();
  const shown = e => box(e).width > 0 && box(e).height > 0;
  if (page.documentElement.scrollWidth > width) found.push(`scrolls sideways, ${page.documentElement.scrollWidth} px`);
  for (const e of page.body.querySelectorAll("*")) {
    if (!shown(e) || e.closest("svg")) continue;
    const scrolls = ["auto", "scroll"].includes(style(e).overflowX);
    if (!e.closest(".scroll") && box(e).right > width + 1) say("beyond the edge", e);
    if (style(e).overflowX !== "visible" && !scrolls && e.scrollWidth > e.clientWidth + 1) say("cut", e);
  }
  for (const svg of page.querySelectorAll("svg")) {
    if (!shown(svg)) continue;
    const all = box(svg), scale = all.width / svg.viewBox.baseVal.width;
    const texts = [...svg.querySelectorAll("text")].filter(shown);
    texts.forEach((e, n) => {
      const a = box(e);
      if (a.left < all.left - 1 || a.right > all.right + 1 || a.top < all.top - 1 || a.bottom > all.bottom + 1)
        say("cut in a chart", e);
      if (parseFloat(style(e).fontSize) * scale < SMALLEST) say("too small", e);
      for (const other of texts.slice(n + 1)) {
        const b = box(other);
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 2) say(`on top of "${other.textContent.trim()}"`, e);
      }
    });
  }
  return found;
}
addEventListener("load", () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe"))
    found[frame.width] = faults(frame.contentDocument, +frame.width);
  document.querySelector("pre").textContent = JSON.stringify(found);
});
"""


def faults(page: str, folder: Path, widths: tuple[int, ...] = WIDTHS) -> dict[int, list[str]]:
    """What does not fit, for each width in pixels: a page that scrolls sideways, words that are cut, too small, or on
    one another. `page` is markup that needs no other file; `folder` is scratch.
    """
    frames = "".join(f'<iframe width="{w}" height="900" srcdoc="{html.escape(page)}"></iframe>' for w in widths)
    script = _MEASURE.replace("SMALLEST", str(SMALLEST_LETTERS))
    style = "<style>iframe { border: 0; display: block }</style>"
    (folder / "frames.html").write_text(
        f"<!doctype html><meta charset=utf-8>{style}<pre></pre>{frames}<script>{script}</script>"
    )
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        [*command, (folder / "frames.html").as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    measured = re.search("<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert measured is not None, done.stderr
    return {int(width): found for width, found in json.loads(html.unescape(measured[1])).items()}
