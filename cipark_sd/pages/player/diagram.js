/* The stock-and-flow diagram: places and lines of the model's own drawing, with the numbers of one run at the estimate. */

const drawn = { view: -1, texts: [] };
const LOOK = { font: 13, line: 15, stock: [57, 25] };

/** A name on lines of about so many letters. */
function wrapped(text, letters) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const joined = `${lines.at(-1)} ${word}`.trim();
    if (joined.length > letters && lines.at(-1)) lines.push(word);
    else lines[lines.length - 1] = joined;
  }
  return lines.slice(0, 4);
}

/** Half the size of what is drawn at a place, from whose border lines begin. */
function halfOf(place) {
  if (place.kind === "valve") return [9, 9];
  if (place.kind === "cloud") return [13, 9];
  const variable = tracing.variables.get(place.name);
  if (variable?.kind === "stock" && !place.shadow) return LOOK.stock;
  const lines = wrapped(variable?.label ?? place.name, 17);
  return [Math.max(...lines.map((line) => line.length)) * 3.4 + 4, lines.length * 7.5 + 11];
}

/** The point at which a line from a place to another leaves the border of the first. */
function border([x, y], [towardsX, towardsY], [halfWidth, halfHeight]) {
  const dx = towardsX - x, dy = towardsY - y, share = Math.min(halfWidth / Math.abs(dx || 1e-9), halfHeight / Math.abs(dy || 1e-9), 1);
  return [x + dx * share, y + dy * share];
}

function lineOf(line, places) {
  const at = ([x, y]) => places.find((p) => p.x === x && p.y === y && p.kind !== "comment");
  const points = line.points.slice(), first = at(points[0]), last = at(points.at(-1));
  if (first) points[0] = border(points[0], points[1], halfOf(first));
  if (last) points[points.length - 1] = border(line.points.at(-1), points.at(-2), halfOf(last));
  const p = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
  if (line.kind === "pipe")
    return shape("path", { d: `M${p.join("L")}`, fill: "none", stroke: "#555", "stroke-width": 4, ...(line.head ? { "marker-end": "url(#pipehead)" } : {}) });
  let way = `M${p.join("L")}`;
  if (points.length === 3) {
    // the drawing names a point on the curve; a curve of the second degree goes through it half way
    const [[ax, ay], [mx, my], [bx, by]] = points;
    way = `M${p[0]}Q${(2 * mx - (ax + bx) / 2).toFixed(1)},${(2 * my - (ay + by) / 2).toFixed(1)} ${p[2]}`;
  }
  return shape("path", { d: way, fill: "none", stroke: "#8aa4bd", "stroke-width": 1.2, "marker-end": "url(#linkhead)" });
}

function marker(id, size, fill) {
  const head = shape("marker", { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: size, markerHeight: size, orient: "auto", markerUnits: "userSpaceOnUse" });
  head.append(shape("path", { d: "M0,0L10,5L0,10Z", fill }));
  return head;
}

/** Everything of a view but the numbers, which `fillMap` puts in. */
function drawMap(number) {
  const view = page.trace.diagram.views[number], { places, lines } = view, svg = $("map");
  const halves = places.map((place) => halfOf(place));
  const along = (axis) => lines.flatMap((line) => line.points.flatMap((point) => [point[axis] - 20, point[axis] + 20]));
  const [left, right] = range([...along(0), ...places.flatMap((p, i) => [p.x - halves[i][0] - 20, p.x + halves[i][0] + 20])]);
  const [top, bottom] = range([...along(1), ...places.flatMap((p, i) => [p.y - halves[i][1] - 20, p.y + halves[i][1] + 20])]);
  const heads = shape("defs");
  heads.append(marker("pipehead", 13, "#555"), marker("linkhead", 8, "#8aa4bd"));
  const parts = [heads, ...lines.filter((line) => line.kind === "link").map((line) => lineOf(line, places)),
    ...lines.filter((line) => line.kind === "pipe").map((line) => lineOf(line, places))];
  drawn.texts = [];
  places.forEach((place, i) => {
    const { x, y } = place, variable = tracing.variables.get(place.name), stock = variable?.kind === "stock" && !place.shadow;
    if (place.kind === "valve") { parts.push(shape("path", { d: `M${x - 9},${y - 8}L${x + 9},${y + 8}V${y - 8}L${x - 9},${y + 8}Z`, fill: "#fff", stroke: "#555", "stroke-width": 1.5 })); return; }
    if (place.kind === "cloud") { parts.push(shape("ellipse", { cx: x, cy: y, rx: 13, ry: 9, fill: "#fff", stroke: "#999", "stroke-dasharray": "3 2" })); return; }
    const lines_ = wrapped(variable?.label ?? place.name, stock ? 15 : 17), [halfWidth, halfHeight] = halves[i];
    const group = shape("g", { class: variable ? "place" : "" });
    if (stock) group.append(shape("rect", { x: x - halfWidth, y: y - halfHeight, width: 2 * halfWidth, height: 2 * halfHeight, rx: 2, fill: "#fff", stroke: INK, "stroke-width": 1.6 }));
    const rows = lines_.length + (variable ? 1 : 0), start = y - ((rows - 1) * LOOK.line) / 2 + LOOK.font * 0.35;
    lines_.forEach((text, row) => group.append(shape("text", { x, y: start + row * LOOK.line, "text-anchor": "middle", "font-size": LOOK.font, fill: place.shadow || !variable ? GREY : INK }, text)));
    if (variable) {
      // the course lies behind name and number, as wide as both
      const course = shape("g", { class: "course", transform: `translate(${x - halfWidth} ${y - halfHeight})` });
      group.insertBefore(course, group.querySelector("text"));
      const value = shape("text", { x, y: start + lines_.length * LOOK.line, "text-anchor": "middle", "font-size": LOOK.font, class: "value" }, "");
      group.append(value);
      group.addEventListener("click", () => { lookInto(variable.name); $("whyhead").scrollIntoView({ block: "start" }); });
      drawn.texts.push({ value, variable, course, size: [2 * halfWidth, 2 * halfHeight] });
    }
    parts.push(group);
  });
  const width = right - left, height = bottom - top;
  svg.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
  svg.style.width = `${Math.round(width * 0.93)}px`;
  svg.replaceChildren(...parts);
  drawn.view = number;
}

/** The numbers at the time that is read; those that the levers move are bold and blue, with an arrow. */
function fillMap() {
  const number = Number($("viewof").value || 0);
  if (drawn.view !== number) drawMap(number);
  let count = 0;
  for (const { value, variable, course, size } of drawn.texts) {
    const { now, base: before, same, bare } = tracedReading(variable);
    if (variable.outputs.length) course.replaceChildren(...curvesOn({ now, base: same ? [] : before }, size, SMALL));
    const difference = now.length === 1 ? now[0][state.at] - before[0][state.at] : 0, on = !same && now.some((course, i) => course[state.at] !== before[i][state.at]);
    count += on;
    value.textContent = bare ? `${on ? (difference > 0 ? "▲ " : difference < 0 ? "▼ " : "• ") : ""}${bare}` : "";
    value.setAttribute("fill", on ? "#005b96" : "#3f5f3f");
    value.setAttribute("font-weight", on ? 700 : 400);
  }
  const title = page.trace.diagram.views[number].title;
  $("maptext").textContent = `${title ? `${title}: values` : "Values"} at ${whenLabel(state.at)} in one run ${atWhat()}, in the units of the model; an array has its least and largest value. The line behind a name is its course, on a scale of its own` +
    (moved() ? `; dashed: without the levers, which have moved ${count} of the ${drawn.texts.length} that are shown (▲ up, ▼ down).` : ". Move a lever, and the numbers move.") +
    (page.trace.diagram.origin === "rows" ? " The file has no drawing: stocks and flows are shown in rows, other variables under Why." : "");
}

/** Choose the part of the drawing in which the outcome on show has its place. */
function openView() {
  const { name } = page.outcomes[state.outcome], shows = (own) => page.trace.diagram.views.findIndex(({ places }) =>
    places.some((place) => place.name === name && place.kind === "variable" && (!own || !place.shadow)));
  const place = shows(true) >= 0 ? shows(true) : shows(false);
  if (place >= 0) $("viewof").value = String(place);
}

function buildMap() {
  const { views } = page.trace.diagram;
  $("mapsection").hidden = !views.length;
  views.forEach((view, i) => $("viewof").append(make("option", { value: String(i) }, view.title || `View ${i + 1}`)));
  $("viewrow").hidden = views.length < 2;
  $("viewof").addEventListener("change", fillMap);
}
