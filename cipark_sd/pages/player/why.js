/* Why: one run at the estimate with every variable, the causes of one of them as small strips. Nothing here is said of
   a structure before the second kernel's base run has the digest of the native engine's. */

const tracing = { kernel: null, variables: new Map(), runs: new Map(), proven: [], trail: [] };

/** What the one run is at: the best fit only where something was fitted. */
const atWhat = () => (page.base === "as fitted" ? "at the best fit" : page.base);

/** Take the second kernel. */
async function startTracing() {
  tracing.kernel = await Kernel.of(bytesOf(page.trace.kernel));
  for (const variable of page.trace.variables) tracing.variables.set(variable.name, variable);
}

/** Whether one run at the estimate of a structure is the native engine's. */
function tracedProof(place) {
  tracing.proven[place] ??= digestOf(tracedRun({}, place)) === page.trace.structures[place].digest;
  return tracing.proven[place];
}

/** The constants of one run at the estimate. */
function tracedConstants(levers, place) {
  const values = { ...page.trace.structures[place].set };
  for (const lever of page.levers)
    if (lever.id in levers) for (const name of lever.every) if (tracing.kernel.places.has(name)) values[name] = levers[lever.id];
  return values;
}

/** All variables of one run at the estimate: output by output, in each time by time. */
function tracedRun(levers, place) {
  const key = JSON.stringify([place, levers]);
  if (!tracing.runs.has(key)) {
    if (tracing.runs.size > 8) tracing.runs.clear();
    tracing.runs.set(key, tracing.kernel.run(tracedConstants(levers, place), 1));
  }
  return tracing.runs.get(key);
}

/** The courses of a variable, one for each element; those of a constant are flat. */
function tracedCourses(variable, levers, place) {
  const times = kernel.times.length;
  if (variable.outputs.length) {
    const run = tracedRun(levers, place);
    return variable.outputs.map((output) => run.subarray(output * times, (output + 1) * times));
  }
  const values = tracedConstants(levers, place), { about, defaults } = tracing.kernel;
  return variable.constants.map((constant) => new Float64Array(times).fill(orMissing(values[about.constants[constant].name] ?? defaults[constant])));
}

/** A number with its units, or the range over the elements; a date is no number of thousands. */
function tracedText(variable, courses, at, bare = false) {
  const dates = /^years?$/i.test(variable.units);
  const words = (value) => (dates && value > 1000 && value < 3000 ? String(Number(value.toFixed(2))) : told(value));
  if (!courses.length) return "";
  const units = bare || (dates && courses[0][at] > 1000) ? "" : variable.units;
  if (courses.length === 1) return withUnits(words(courses[0][at]), units);
  const [low, high] = range(courses.map((course) => course[at]).filter(Number.isFinite));
  return withUnits(low === high ? words(low) : `${words(low)} to ${words(high)}`, units);
}

function sameCourses(some, others) {
  return some.every((course, i) => course.every((value, t) => Object.is(value, others[i][t])));
}

/** A variable as it is read now and without any lever. */
function tracedReading(variable) {
  const now = tracedCourses(variable, state.levers, state.structure), base = tracedCourses(variable, {}, state.structure);
  return { now, base, same: sameCourses(now, base), text: tracedText(variable, now, state.at), bare: tracedText(variable, now, state.at, true), before: tracedText(variable, base, state.at) };
}

/* A strip beside the causes, and the small course behind a name of the drawing: colours, widths, and the points at most. */
const STRIP = { size: [210, 64], now: BLUE, base: BASE.color, width: 2, points: Infinity };
const SMALL = { now: "#5b9fd0", base: "#9a9a9a", ground: "#dcebf7", width: 1.5, points: 90 };

/** The courses of a variable on a scale of their own, now as lines, the base dashed; and the places of times and values. */
function curvesOn({ now, base }, [width, height], look) {
  const last = shownUntil(), every = [...now, ...base].flatMap((course) => Array.from(course.subarray(0, last + 1)).filter(Number.isFinite));
  let [low, high] = range(every);
  if (!(high > low)) { low -= 1; high += 1; }
  const first = kernel.times[0], span = kernel.times[last] - first || 1, stride = Math.ceil((last + 1) / look.points) || 1;
  const x = (t) => (2 + ((kernel.times[t] - first) / span) * (width - 4)).toFixed(1);
  const y = (value) => (height - 5 - ((value - low) / (high - low)) * (height - 10)).toFixed(1);
  const path = (course) => {
    let text = "", on = false;
    for (let t = 0; t <= last; t += stride) {
      const there = Number.isFinite(course[t]);
      if (there) text += `${on ? "L" : "M"}${x(t)},${y(course[t])}`;
      on = there;
    }
    return text;
  };
  const lines = [], until = x(last - (last % stride));
  if (look.ground && now.length === 1) lines.push(shape("path", { d: `${path(now[0])}L${until},${height}L2,${height}Z`, fill: look.ground, stroke: "none" }));
  if (low <= 0 && high >= 0) lines.push(shape("line", { x1: 0, x2: width, y1: y(0), y2: y(0), stroke: look.base }));
  if (state.at <= last) lines.push(shape("line", { x1: x(state.at), x2: x(state.at), y1: 0, y2: height, stroke: look.base, "stroke-dasharray": "1 3" }));
  for (const course of now) lines.push(shape("path", { d: path(course), fill: "none", stroke: look.now, "stroke-width": now.length > 1 ? 0.65 * look.width : look.width }));
  for (const course of base) lines.push(shape("path", { d: path(course), fill: "none", stroke: look.base, "stroke-width": 0.6 * look.width, "stroke-dasharray": BASE.dash }));
  return lines;
}

/** A strip: the courses on a ground of their own. */
function stripOf(reading) {
  const [width, height] = STRIP.size, svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  svg.append(shape("rect", { width, height, fill: "#f3f6f9" }), ...curvesOn(reading, STRIP.size, STRIP));
  return svg;
}

/** What stands beside a strip: the number, and how it was without levers where that is another one. */
function stripWords(reading) {
  if (!reading.text) return "is not computed in this run";
  const { text, before, same } = reading;
  if (same) return moved() ? `${text}, unchanged` : text;
  return text === before ? `${text}; moved at other times` : `${text}; ${page.base} ${before}`;
}

function stripRow(variable, chosen) {
  const reading = tracedReading(variable), leads = !chosen && variable.causes.length > 0;
  const name = leads
    ? make("button", { type: "button", className: "cause", onclick: () => lookInto(variable.name) }, variable.label)
    : make("strong", {}, variable.label);
  if (leads) name.setAttribute("aria-label", `Why ${variable.label}?`);
  if (variable.doc) name.title = variable.doc;
  const lever = page.levers.find((one) => variable.constants.some((place) => one.every.includes(tracing.kernel.about.constants[place].name)));
  const what = { stock: "stock", flow: "flow", constant: lever ? "lever" : "constant", series: "data" }[variable.kind] ?? "";
  const words = make("p", {}, name, what ? make("small", {}, ` ${what}`) : "", make("br"), stripWords(reading));
  const row = make("li", { className: reading.same ? "" : "moved" }, words);
  if (variable.outputs.length) row.append(stripOf(reading));
  return row;
}

/** The variable that is asked about: the one that was chosen, else that of the outcome on show. */
function asked() {
  return tracing.variables.get(state.why) ?? tracing.variables.get(page.outcomes[state.outcome].name);
}

function lookInto(name) {
  tracing.trail.push(asked().name);
  state.why = name;
  showWhy();
  $("whyof").focus();
  remember();
}

function showWhy() {
  const variable = asked();
  $("whyof").value = variable.name;
  $("whyback").disabled = !tracing.trail.length;
  const causes = variable.causes.map((name) => tracing.variables.get(name)).filter(Boolean);
  const changed = causes.filter((cause) => !tracedReading(cause).same).map((cause) => cause.label);
  const word = variable.kind === "stock" ? "is changed by" : "is computed from";
  const list = causes.length ? `${word} ${causes.length === 1 ? causes[0].label : `${causes.length} variables`}` : "is given and computed from nothing";
  const news = !moved() || !causes.length ? "" : changed.length ? `. The levers move ${changed.join(", ")}` : `. The levers move ${causes.length === 1 ? "it not" : "none of them"}`;
  const above = [page.structures[state.structure].runs > 1 ? "the median of the draws" : "", page.outcomes[state.outcome].waiting ? "what had been reported by then, so without those that wait" : ""].filter(Boolean);
  $("whytext").textContent = `${variable.label} ${list}${news}. One run ${atWhat()}, read at ${whenLabel(state.at)}${above.length ? `; the answer above is ${above.join(" of ")}` : ""}.`;
  $("chosen").replaceChildren(stripRow(variable, true));
  $("causes").replaceChildren(...causes.map((cause) => stripRow(cause, false)));
}

function buildWhy() {
  const sorted = [...tracing.variables.values()].filter((v) => v.outputs.length || v.constants.length)
    .sort((a, b) => a.label.localeCompare(b.label, "en"));
  $("whyof").append(...sorted.map(({ name, label }) => make("option", { value: name }, label)));
  $("whyof").addEventListener("change", () => {
    tracing.trail.push(asked().name);
    state.why = $("whyof").value;
    showWhy();
    remember();
  });
  $("whyback").addEventListener("click", () => {
    state.why = tracing.trail.pop();
    showWhy();
    remember();
  });
}
