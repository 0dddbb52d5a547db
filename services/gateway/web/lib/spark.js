// A sparkline: one number over the last minute, oldest value on the left.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120, HEIGHT = 22, SLOTS = 60;

/** @param {string} label @returns {SVGSVGElement} */
export function makeSpark(label) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  made.setAttribute("preserveAspectRatio", "none");
  made.setAttribute("class", "spark");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", label);
  for (const kind of ["area", "line"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    made.append(path);
  }
  return made;
}

/** @param {SVGSVGElement} target @param {number[]} values @param {number} least lowest value for the top of the scale */
export function drawSpark(target, values, least) {
  const top = Math.max(least, ...values) * 1.1;
  const points = values.map((value, i) => {
    const x = WIDTH - ((values.length - 1 - i) * WIDTH) / (SLOTS - 1);
    return `${x.toFixed(1)} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`;
  });
  const line = points.length ? `M${points.join("L")}` : "";
  const left = WIDTH - ((values.length - 1) * WIDTH) / (SLOTS - 1);
  target.lastElementChild?.setAttribute("d", line);
  target.firstElementChild?.setAttribute("d", line && `${line}L${WIDTH} ${HEIGHT}L${left.toFixed(1)} ${HEIGHT}Z`);
}
