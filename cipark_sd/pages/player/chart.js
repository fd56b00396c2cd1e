/* The figure: a fan, lines and counts as SVG. All words go in as text, and looks as attributes, so that a copy of the
   figure is a picture by itself. */

const SVG = "http://www.w3.org/2000/svg";
/* Blue, vermilion and black of Okabe and Ito's palette, and three darker lines that also differ by their dashes. */
const INK = "#1b1b1b", GREY = "#595959", RULE = "#d9d9d9", BLUE = "#005b96", SEEN = "#b34700";
const PINS = [
  { color: "#00664b", dash: "9 4" },
  { color: "#8f2d73", dash: "2 4" },
  { color: "#6b4800", dash: "12 4 2 4" },
];
const BASE = { color: INK, dash: "5 4" };

/** An SVG element with attributes and, if any, a text. */
function shape(name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

/**
 * Draw a view: `times`, `courses` (five quantiles at each time, or one line), `fan` whether they are five, `base`, `pins`
 * ({label, course}), `seen`, `from` and `to` (positions of times), `at`, `title`, `unitsSaid`, `dataEnd` (a time or null), `prior`,
 * `tickLabels` (time, text).
 */
function drawChart(svg, view) {
  const width = Math.max(280, svg.clientWidth || 640), height = Math.max(220, Math.min(440, Math.round(width * 0.56)));
  const { times, courses, from, to } = view;
  const shown = (values) => Array.prototype.slice.call(values, from, to + 1).filter(Number.isFinite);
  const first = times[from], last = times[to];
  const seen = view.seen.filter((s) => s.time >= first && s.time <= last + 1e-9);
  const every = [...courses.flatMap((c) => shown(c)), ...shown(view.base), ...view.pins.flatMap((p) => shown(p.course)),
    ...seen.flatMap((s) => [s.low, s.high ?? s.low])];
  let low = Math.min(0, ...range(every)), high = Math.max(...range(every));
  if (!(high > low)) high = low + 1;
  const rough = ticks(low, high, height > 300 ? 6 : 4), step = rough.length > 1 ? rough[1] - rough[0] : high - low;
  low = Math.floor(low / step + 1e-9) * step;
  high = Math.ceil(high / step - 1e-9) * step;
  const marks = ticks(low, high, Math.round((high - low) / step));
  const words = marks.map(told), font = width < 480 ? 12 : 13;
  const left = 14 + Math.max(...words.map((w) => w.length)) * font * 0.56, right = 22, top = 30, bottom = 28;
  const x = (time) => left + ((time - first) / (last - first || 1)) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low)) * (height - top - bottom);
  const parts = [shape("rect", { width, height, fill: "#fff" })];
  const label = (text, at) => shape("text", { "font-size": font, "font-family": "system-ui, sans-serif", fill: GREY, ...at }, text);

  marks.forEach((value, i) => {
    parts.push(shape("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), stroke: value === 0 ? GREY : RULE }));
    parts.push(label(words[i], { x: left - 7, y: y(value) + font * 0.35, "text-anchor": "end" }));
  });
  const head = [view.title, view.unitsSaid ? `, ${view.unitsSaid}` : ""].join("");
  if (view.dataEnd !== null && view.dataEnd < last) {
    const edge = Math.max(x(view.dataEnd), left), words = { y: top + font, "font-size": font - 0.5 };
    parts.splice(1, 0, shape("rect", { x: edge, y: top, width: width - right - edge, height: height - top - bottom, fill: "#f0eef6" }));
    parts.push(shape("line", { x1: edge, x2: edge, y1: top, y2: height - bottom, stroke: "#5a4590" }));
    if (edge - left > 70) parts.push(label("data end", { ...words, x: edge - 6, "text-anchor": "end", fill: INK }));
    if (width - right - edge > 76) parts.push(label("forecast", { ...words, x: edge + 6, fill: "#5a4590" }));
  }
  for (const [time, text] of view.tickLabels(Math.max(3, Math.floor((width - left - right) / 84)))) {
    parts.push(shape("line", { x1: x(time), x2: x(time), y1: height - bottom, y2: height - bottom + 5, stroke: GREY }));
    const half = text.length * font * 0.31, at = Math.min(Math.max(x(time), half), width - half);
    parts.push(label(text, { x: at, y: height - 8, "text-anchor": "middle" }));
  }
  if (view.prior) {
    const at = { x: (left + width - right) / 2, y: (top + height - bottom) / 2 };
    const look = { "font-size": Math.min(110, width / 6), "font-weight": 700, "text-anchor": "middle", fill: "#e3d3c6" };
    parts.push(label("PRIOR", { ...at, ...look, "dominant-baseline": "middle", transform: `rotate(-20 ${at.x} ${at.y})` }));
  }
  const steps = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const path = (course) => {
    let text = "", on = false;
    for (const i of steps) {
      const there = Number.isFinite(course[i]);
      if (there) text += `${on ? "L" : "M"}${x(times[i]).toFixed(1)},${y(course[i]).toFixed(1)}`;
      on = there;
    }
    return text;
  };
  const band = (lower, upper) => {
    const there = steps.filter((i) => Number.isFinite(lower[i]) && Number.isFinite(upper[i]));
    const corner = (course) => (i) => `${x(times[i]).toFixed(1)},${y(course[i]).toFixed(1)}`;
    return there.length ? `M${there.map(corner(upper)).join("L")}L${there.reverse().map(corner(lower)).join("L")}Z` : "";
  };
  if (view.fan) {
    parts.push(shape("path", { d: band(courses[0], courses[4]), fill: BLUE, "fill-opacity": 0.16 }));
    parts.push(shape("path", { d: band(courses[1], courses[3]), fill: BLUE, "fill-opacity": 0.26 }));
  }
  const line = (course, look) => shape("path", { d: path(course), fill: "none", "stroke-linejoin": "round", ...look });
  view.pins.forEach(({ course, place }) => {
    const { color, dash } = PINS[place];
    parts.push(line(course, { stroke: color, "stroke-dasharray": dash, "stroke-width": 2 }));
  });
  const middle = courses[view.fan ? 2 : 0];
  parts.push(line(middle, { stroke: BLUE, "stroke-width": 2.5 }));
  parts.push(line(view.base, { stroke: BASE.color, "stroke-dasharray": BASE.dash, "stroke-width": 1.6 }));
  for (const s of seen) {
    const open = s.high === null, end = open ? s.low : s.high, at = (s.low + end) / 2;
    const hollow = s.use === "fit" ? SEEN : "#fff";
    if (end > s.low) parts.push(shape("line", { x1: x(s.time), x2: x(s.time), y1: y(s.low), y2: y(end), stroke: SEEN, "stroke-width": 1.5 }));
    const mark = open
      ? shape("path", { d: `M${x(s.time)},${y(at) - 6}l5,8h-10Z`, fill: hollow, stroke: SEEN, "stroke-width": 1.3 })
      : shape("circle", { cx: x(s.time), cy: y(at), r: 4, fill: hollow, stroke: SEEN, "stroke-width": 1.3 });
    parts.push(mark);
  }
  const when = times[view.at];
  if (when >= first && when <= last) {
    parts.push(shape("line", { x1: x(when), x2: x(when), y1: top - 8, y2: height - bottom, stroke: GREY, "stroke-dasharray": "1 3" }));
    const text = view.whenLabel(view.at), half = text.length * font * 0.31;
    const middle_ = Math.min(Math.max(x(when), half + left), width - half - 4);
    parts.push(label(text, { x: middle_, y: 16, "text-anchor": "middle", fill: INK }));
    // the title of the axis gives way to the date that is read
    if (head.length * font * 0.56 < middle_ - half - 8) parts.push(label(head, { x: 4, y: 16 }));
    else if (middle_ + half + 8 + head.length * font * 0.56 < width) parts.push(label(head, { x: width - 4, y: 16, "text-anchor": "end" }));
  } else {
    parts.push(label(head, { x: 4, y: 16 }));
  }
  if (when >= first && when <= last) {
    if (Number.isFinite(middle[view.at]))
      parts.push(shape("circle", { cx: x(when), cy: y(middle[view.at]), r: 5, fill: BLUE, stroke: "#fff", "stroke-width": 2 }));
  }
  // names at the ends of their lines, none over another
  let above = -Infinity;
  const ends = view.pins.filter(({ course }) => Number.isFinite(course[to])).sort((a, b) => b.course[to] - a.course[to]);
  for (const { label: name, course, place } of ends) {
    above = Math.max(above + font, y(course[to]) + font * 0.35);
    parts.push(label(name, { x: width - right + 5, y: above, fill: PINS[place].color, "font-weight": 700 }));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  svg.replaceChildren(...parts);
  return { width, height };
}

/** The least and the largest of many numbers. */
function range(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return Number.isFinite(low) ? [low, high] : [0, 1];
}
