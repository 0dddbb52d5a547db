"""Contrast of text and controls on a page, by the rules of WCAG 2."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

MEASURE = """() => {
  const paint = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, below) => below.map((c, i) => top[i] * top[3] + c * (1 - top[3]));
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) =>
    v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05); };
  const grounds = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(rgba(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
      if (at.matches(".stage-note")) return [[0, 0, 0], [255, 255, 255]].map((base) =>
        layers.reduceRight((below, top) => over(top, below), base));
    }
    return [layers.reduceRight((below, top) => over(top, below), [255, 255, 255])];
  };
  const seen = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })
    && element.getBoundingClientRect().width > 1 && !element.closest(":disabled");
  const found = [];
  const named = (what, element) =>
    `${what} ${element.tagName}#${element.id}.${element.className} "${element.textContent.trim().slice(0, 30)}"`;
  const note = (what, element, front, back, least) =>
    found.push({ what: named(what, element), ratio: ratio(over(rgba(front), back), back), least });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !seen(element)) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    for (const back of grounds(element)) note("text", element, style.color, back, large ? 3 : 4.5);
  }
  for (const element of document.querySelectorAll("input, textarea, select")) {
    if (!seen(element)) continue;
    note("value", element, getComputedStyle(element).color, grounds(element)[0], 4.5);
    if (element.placeholder)
      note("placeholder", element, getComputedStyle(element, "::placeholder").color, grounds(element)[0], 4.5);
  }
  for (const element of document.querySelectorAll(
    "button:not(.remove), input:not([type=file]), select, textarea, .bar")) {
    if (!seen(element)) continue;
    const style = getComputedStyle(element), around = grounds(element.parentElement)[0], inside = grounds(element)[0];
    // A control differs from its surroundings by its edge or by its ground.
    const edge = ratio(over(rgba(style.borderTopColor), around), around);
    found.push({ what: named("edge", element), ratio: Math.max(edge, ratio(inside, around)), least: 3 });
  }
  for (const element of document.querySelectorAll(".spark .line")) {
    if (seen(element.ownerSVGElement))
      note("line", element, getComputedStyle(element).stroke, grounds(element.ownerSVGElement)[0], 3);
  }
  return found;
}"""


def poor(page: "Page") -> list[str]:
    """Return what has too little contrast. Fails on a page on which little could be measured."""
    found = page.evaluate(MEASURE)
    assert len(found) > 60
    return [f"{row['what']} {row['ratio']:.2f}" for row in found if row["ratio"] < row["least"]]
