/* The page: levers to runs, runs to a figure and to words. Words of a model are data and only ever set as text. */

const page = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { levers: {}, outcome: 0, at: page.at, structure: 0, whole: page.until >= page.last, pins: [], why: "" };
const kept = new Map(), summaries = new WeakMap();
/* `turn` counts the moves; what was begun for an older one goes no further. */
let kernel, workers = null, turn = 0, waiting = false, speaking = 0, explaining = 0;

/** An element of HTML with properties and what is in it; a text goes in as text. */
function make(name, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...inside);
  return element;
}

function fatal(reason) {
  $("page").hidden = true;
  $("why").textContent = reason;
  $("fatal").hidden = false;
}

// --- runs ---------------------------------------------------------------------------------------------------------------

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Draws of a structure by constant, the estimate last. */
function drawsOf(structure) {
  if (!structure.columns) {
    const numbers = new Float64Array(bytesOf(page.draws[structure.draws]).buffer);
    structure.columns = Object.fromEntries(structure.drawn.map((name, i) => [name, numbers.subarray(i * structure.runs, (i + 1) * structure.runs)]));
  }
  return structure.columns;
}

/** The constants of a structure's runs with levers. */
function valuesOf(levers, place) {
  const structure = page.structures[place], values = { ...structure.set, ...drawsOf(structure) };
  for (const lever of page.levers)
    if (lever.id in levers) for (const name of lever.names) values[name] = levers[lever.id];
  return values;
}

function keyOf(levers, place, last) {
  return JSON.stringify([place, last, levers]);
}

function keep(key, found) {
  kept.set(key, found);
  // the base runs stay, of many others the oldest go
  const others = [...kept.keys()].filter((old) => !old.endsWith(",{}]"));
  if (others.length > 40) kept.delete(others[0]);
  return found;
}

/** The part of the base runs, which are kept whole, up to a time. */
function baseUntil(place, last) {
  const { runs } = page.structures[place], whole = runsOf({}, place), times = page.last + 1, outputs = kernel.about.outputs.length;
  const found = new Float64Array(outputs * (last + 1) * runs);
  for (let output = 0; output < outputs; output++)
    found.set(whole.subarray(output * times * runs, (output * times + last + 1) * runs), output * (last + 1) * runs);
  return found;
}

/** All outputs of a structure's runs with levers up to a time, output by output, in each time by time, in each run by run. */
function runsOf(levers, place, last = page.last) {
  const key = keyOf(levers, place, last);
  if (kept.has(key)) return kept.get(key);
  if (last < page.last && !Object.keys(levers).length) return keep(key, baseUntil(place, last));
  return keep(key, kernel.run(valuesOf(levers, place), page.structures[place].runs, { last }));
}

/**
 * Have runs kept, `[levers, structure, last time]` each, before they are read. With the move that they are `asked` for it
 * ends as soon as there is a newer one, whose turn it is, and resolves to false.
 */
async function ahead(wanted, asked = null) {
  const stale = () => asked !== null && asked !== turn;
  for (const [levers, place, last] of wanted) {
    const until = moved(levers) ? last : page.last, key = keyOf(levers, place, until);
    if (!kept.has(key)) {
      try {
        if (workers) keep(key, await workers.run(valuesOf(levers, place), page.structures[place].runs, until));
        else {
          await breath();
          if (!stale()) runsOf(levers, place, until);
        }
      } catch (problem) {
        // who reads these runs is told again
        if (!(problem instanceof KernelError)) throw problem;
      }
    }
    if (stale()) return false;
  }
  return true;
}

/** Let the browser take what has come meanwhile. */
function breath() {
  return new Promise((done) => setTimeout(done, 0));
}

/** Whether the base runs of a structure are the native engine's; a reason in words where they are not. */
function proof(place) {
  const structure = page.structures[place];
  if (structure.proven === undefined) structure.proven = digestOf(runsOf({}, place)) === structure.digest;
  return structure.proven;
}

/** What a lever is where nobody has moved it. */
function baseOf(lever, place = state.structure) {
  const structure = page.structures[place], [name] = lever.names;
  if (structure.drawn.includes(name)) return drawsOf(structure)[name][structure.runs - 1];
  return structure.set[name] ?? kernel.defaults[kernel.places.get(name)];
}

/** An outcome of runs: time by time, in each run by run. */
function curvesOf(values, outcome) {
  const size = values.length / kernel.about.outputs.length;
  const sum = (places) => {
    const total = new Float64Array(size);
    for (const place of places) for (let i = 0; i < size; i++) total[i] += values[place * size + i];
    return total;
  };
  const whole = sum(outcome.parts);
  if (outcome.per.length) sum(outcome.per).forEach((value, i) => (whole[i] /= value));
  return whole;
}

/** The last time that is shown, beyond which nothing need be computed. */
function shownUntil() {
  return state.whole ? page.last : page.until;
}

/** Five quantiles of an outcome at each time over the draws, or its one line, and the run at the estimate. */
function coursesOf(levers, place, outcome, last = shownUntil()) {
  const values = runsOf(levers, place, last);
  if (!summaries.has(values)) summaries.set(values, new Map());
  const byOutcome = summaries.get(values);
  if (!byOutcome.has(outcome)) byOutcome.set(outcome, summed(values, page.structures[place].runs, outcome, last));
  return byOutcome.get(outcome);
}

function summed(values, runs, outcome, last) {
  const curves = curvesOf(values, outcome);
  const times = last + 1, estimate = Float64Array.from({ length: times }, (_, t) => curves[t * runs + runs - 1]);
  if (runs === 1) return { curves, courses: [estimate], estimate, middle: estimate, lost: 0, fan: false };
  const courses = LEVELS.map(() => new Float64Array(times));
  let lost = 0;
  for (let t = 0; t < times; t++) {
    const found = summary(curves.subarray(t * runs, t * runs + runs - 1));
    found.levels.forEach((value, i) => (courses[i][t] = value));
    lost = Math.max(lost, found.lost);
  }
  return { curves, courses, estimate, middle: courses[2], lost, fan: true };
}

// --- words --------------------------------------------------------------------------------------------------------------

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function dated(text) {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  return parts ? `${Number(parts[3])} ${MONTHS[parts[2] - 1]} ${parts[1]}` : "";
}

function whenLabel(at) {
  if (page.labels.length && dated(page.labels[at])) return dated(page.labels[at]);
  const units = kernel.about.time.units, time = Number(kernel.times[at].toPrecision(9));
  return /^years?$/i.test(units) ? `${time}` : `${units ? `${units} ` : "time "}${time}`;
}

/** Round times along the axis, with dates where times are no years. */
function tickLabels(from, to) {
  return (about) => {
    const first = kernel.times[from], last = kernel.times[to];
    const years = /^years?$/i.test(kernel.about.time.units);
    if (!page.labels.length || years) {
      const found = ticks(first, last, about).map((time) => [time, String(time)]);
      if (!years && found.length) found[found.length - 1][1] += kernel.about.time.units ? ` ${kernel.about.time.units}` : "";
      return found;
    }
    const count = Math.max(2, Math.min(about, 5));
    // times that are dates; a time between two of them is named by none
    const dates = page.labels.map((label, place) => place).filter((place) => place >= from && place <= to && dated(page.labels[place]));
    const places = Array.from({ length: Math.min(count, dates.length) }, (_, i) => dates[Math.round((i * (dates.length - 1)) / (Math.min(count, dates.length) - 1 || 1))]);
    return places.map((place) => [kernel.times[place], dated(page.labels[place])]);
  };
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function withUnits(text, units) {
  return units ? `${text} ${/^[−-]?1$/.test(text) ? units : page.plurals[units] || units}` : text;
}

function moved(levers = state.levers) {
  return Object.keys(levers).length > 0;
}

function between(low, high) {
  return `${told(low)} to ${told(high)}`;
}

/** At the time of reading: the number now, the base, and the difference of each draw to itself. */
function readingOf(levers, place, outcome, last = shownUntil()) {
  const now = coursesOf(levers, place, outcome, last), base = coursesOf({}, place, outcome, last), at = state.at;
  const { runs } = page.structures[place], n = now.fan ? runs - 1 : 1;
  const differences = Float64Array.from({ length: n }, (_, run) => now.curves[at * runs + run] - base.curves[at * runs + run]);
  const difference = summary(differences).levels;
  return { levers, now, base, value: now.middle[at], estimate: now.estimate[at], difference, at };
}

/* What draws are, in a word or two; the line under the title says the rest. */
const SHORT = {
  posterior: "posterior draws", laplace: "approximate posterior draws", borrowed: "draws of another structure",
  prior: "PRIOR draws", ranges: "draws from your ranges",
};

/** The range of the draws, and what it is given; none where the levers set all that was uncertain. */
function rangeOf({ levers, now, at }, structure) {
  const set = new Set(page.levers.filter((lever) => lever.id in levers).flatMap((lever) => lever.names));
  const given = structure.drawn.filter((name) => set.has(name)).length;
  if (given === structure.drawn.length) return "no range: the levers set all that was uncertain";
  const words = given ? ", given what is set" : "";
  return `90 % of ${SHORT[structure.basis.origin]}${words}: ${between(now.courses[0][at], now.courses[4][at])}`;
}

/** The last number that was reported until the date that is read, in a sentence; nothing where there is none. */
function reportedBy(outcome, at) {
  const until = kernel.times[at] * (1 + 1e-9), before = outcome.seen.filter((entry) => entry.time <= until);
  if (!before.length) return "";
  const last = before.reduce((found, entry) => (entry.time >= found.time ? entry : found));
  const number = last.high === null ? `at least ${told(last.low)}` : last.high === last.low ? told(last.low) : `${told(last.low)} to ${told(last.high)}`;
  return ` Reported on ${last.date}: ${number}.`;
}

function answerOf(reading, outcome) {
  const { levers, now, base, difference, at } = reading, structure = page.structures[state.structure];
  const number = make("data", { id: "now", value: String(reading.value) }, withUnits(told(reading.value), outcome.units));
  const counted = outcome.note ? ` (${outcome.note})` : "";
  const parts = [`${outcome.title}${counted}, ${whenLabel(at)}: `, make("strong", {}, number)];
  if (now.fan) parts.push(` (${rangeOf(reading, structure)})`);
  parts.push(". ");
  if (!moved(levers)) parts.push(now.fan ? `This is the model ${page.base}.${reportedBy(outcome, at)}` : `All values are ${page.base}.`);
  else {
    parts.push(`${capital(page.base)} ${told(base.middle[at])}; `);
    parts.push(make("b", {}, `difference ${change(difference[2])}`));
    parts.push(now.fan ? ` (90 %: ${change(difference[0])} to ${change(difference[4])}).` : ".");
  }
  if (now.lost) parts.push(` ${now.lost} runs leave the numbers and are left out.`);
  return parts;
}

// --- the figure ---------------------------------------------------------------------------------------------------------

function view(levers = state.levers) {
  const outcome = page.outcomes[state.outcome], reading = readingOf(levers, state.structure, outcome);
  const to = shownUntil();
  const pins = state.pins.map((pin, place) => ({ label: pin.name, place, course: coursesOf(pin.levers, pin.structure, outcome).middle }));
  const structure = page.structures[state.structure];
  return {
    reading, outcome, pins, to,
    from: 0, times: kernel.times, at: state.at, units: outcome.units, seen: outcome.seen,
    courses: reading.now.courses, fan: reading.now.fan, base: reading.base.middle,
    prior: structure.basis !== null && ["prior", "ranges"].includes(structure.basis.origin),
    tickLabels: tickLabels(0, to), whenLabel,
  };
}

function show(levers, asked) {
  let shown;
  try {
    shown = view(levers);
  } catch (problem) {
    if (!(problem instanceof KernelError)) throw problem;
    // no number of another setting stays in its place
    $("problem").textContent = `No numbers for these values: ${problem.message}.`;
    $("problem").hidden = false;
    clearTimeout(speaking);
    speaking = 0;
    $("over").textContent = "";
    $("answer").replaceChildren("—");
    $("chart").replaceChildren();
    $("caption").textContent = "No figure for these values.";
    showCopyable(false);
    return;
  }
  $("problem").hidden = true;
  drawChart($("chart"), shown);
  $("answer").replaceChildren(...answerOf(shown.reading, shown.outcome));
  $("caption").textContent = described(shown);
  $("whentext").textContent = whenLabel(state.at);
  $("when").setAttribute("aria-valuetext", whenLabel(state.at));
  showCopyable(true);
  clearTimeout(explaining);
  // after the frame in which this is painted, and not where another move has come meanwhile
  requestAnimationFrame(() => { explaining = setTimeout(() => !waiting && explain(inView), 0); });
  clearTimeout(speaking);
  speaking = setTimeout(() => atRest(shown, asked), 250);
  if (page.structures.length > 1) $("over").textContent = `Over ${page.structures.length} structures, with these levers: …`;
}

const inView = new Set();

/** The parts that say why, those that are in view at each move and all of them at rest. */
function explain(which) {
  if (!tracing.kernel) return;
  if (!tracedProof(state.structure)) return withoutTracing(mismatch(state.structure));
  try {
    if (which.has("whysection")) showWhy();
    if (which.has("mapsection") && page.trace.diagram.views.length) fillMap();
  } catch (problem) {
    // the answer has said it already, or a variable outside the outcome's causes cannot be computed
    if (!(problem instanceof KernelError)) throw problem;
    $("causes").replaceChildren();
    $("chosen").replaceChildren();
    $("whytext").textContent = `Nothing is said of causes for these values: ${problem.message}.`;
    drawn.texts.forEach(({ value }) => (value.textContent = ""));
  }
  return undefined;
}

function withoutTracing(reason) {
  tracing.kernel = null;
  $("whybody").hidden = $("mapsection").hidden = true;
  $("whymissing").textContent = `Causes and diagram are not shown: ${reason}`;
  $("whymissing").hidden = false;
}

function showCopyable(able) {
  for (const id of ["pin", "csv", "png", "command", "toml"]) $(id).disabled = !able;
  if (state.pins.length >= PINS.length) $("pin").disabled = true;
}

function described(shown) {
  const { outcome, reading } = shown, first = reading.now.middle[0], last = reading.now.middle[shown.to];
  const seen = outcome.seen.length ? ` ${outcome.seen.length} reported numbers are drawn as points.` : "";
  const basis = shown.prior ? " The draws are of the prior: nothing here has seen data." : "";
  return `${outcome.title} from ${told(first)} at ${whenLabel(0)} to ${withUnits(told(last), outcome.units)} at ${whenLabel(shown.to)}; ` +
    `${page.base} it ends at ${told(reading.base.middle[shown.to])}.${seen}${basis}`;
}

/**
 * What may wait until a lever rests: the table, the address, what a screen reader hears, shares, other structures. A move
 * that comes meanwhile ends it.
 */
async function atRest(shown, asked) {
  if (turn !== asked) return;
  const { levers, structure, pins } = state, last = shownUntil();
  $("spoken").textContent = $("answer").textContent;
  remember();
  fillNumbers(shown);
  if (!(await ahead(pins.flatMap((pin) => [[pin.levers, pin.structure, last], [{}, pin.structure, last]]), asked))) return;
  compare();
  if (!(await ahead(sharedRuns(levers).map((some) => [some, structure, last]), asked))) return;
  showShares();
  explain(new Set(["whysection", "mapsection"]));
  if (await overStructures(asked)) speaking = 0;
}

/** Draw what the state asks for. With workers the page hears of newer moves meanwhile; each that is made is drawn. */
async function draw() {
  for (let drawn = null; drawn !== turn;) {
    const { structure, pins } = state, last = shownUntil();
    const wanted = [[state.levers, structure, last], [{}, structure, last], ...pins.map((pin) => [pin.levers, pin.structure, last])];
    const made = !workers || wanted.every((run) => kept.has(keyOf(...run)));
    if (made) await new Promise(requestAnimationFrame);
    drawn = turn;
    const levers = { ...state.levers };
    if (!made) await ahead(wanted);
    show(levers, drawn);
  }
  waiting = false;
}

function update() {
  turn += 1;
  if (waiting) return;
  waiting = true;
  draw();
}

// within a report the address is the report's, and the frame is as high as what is in it
const frame = window.frameElement, home = frame ? window.parent : window;

function remember() {
  const hash = `#${written(state, page)}`;
  try {
    home.history.replaceState(null, "", hash);
  } catch {
    // some browsers keep the address of a file as it is; the link is still copied whole
  }
  return home.location.href.split("#")[0] + hash;
}

function legend() {
  const structure = page.structures[state.structure], outcome = page.outcomes[state.outcome], fan = structure.runs > 1;
  const entry = (text, ...shapes) => {
    const icon = shape("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" });
    icon.append(...shapes);
    return make("span", {}, icon, text);
  };
  const line = (look) => shape("line", { x1: 0, x2: 26, y1: 6, y2: 6, ...look });
  const entries = [];
  if (fan) {
    const bands = [shape("rect", { y: 0, width: 26, height: 12, fill: BLUE, "fill-opacity": 0.16 }), shape("rect", { y: 3, width: 26, height: 6, fill: BLUE, "fill-opacity": 0.3 })];
    entries.push(entry(`50 and 90 % of ${structure.runs - 1} ${structure.basis.name}`, ...bands));
  }
  entries.push(entry(fan ? "median" : "now", line({ stroke: BLUE, "stroke-width": 2.5 })));
  entries.push(entry(`${fan ? "median " : ""}${page.base}`, line({ stroke: BASE.color, "stroke-width": 1.6, "stroke-dasharray": BASE.dash })));
  const uses = new Set(outcome.seen.map((s) => (s.use === "fit" ? "reported" : "reported, not fitted")));
  for (const use of uses)
    entries.push(entry(use, shape("circle", { cx: 13, cy: 6, r: 4, stroke: SEEN, fill: use === "reported" ? SEEN : "#fff" })));
  state.pins.forEach((pin, place) => {
    const { color, dash } = PINS[place];
    entries.push(entry(pin.name, line({ stroke: color, "stroke-width": 2, "stroke-dasharray": dash })));
  });
  $("legend").replaceChildren(...entries);
}

// --- scenarios ----------------------------------------------------------------------------------------------------------

function changesOf(pin) {
  const told_ = page.levers.filter((lever) => lever.id in pin.levers)
    .map((lever) => [lever, pin.levers[lever.id]])
    .map(([lever, value]) => `${lever.title} ${monthOf(lever, value) || withUnits(String(value), lever.units)}`);
  if (pin.structure) told_.unshift(page.structures[pin.structure].title);
  return told_.join("; ") || page.base;
}

function compare() {
  $("compare").hidden = !state.pins.length;
  if (!state.pins.length) return;
  const rows = [
    { name: capital(page.base), levers: {}, structure: state.structure },
    { name: "Now", levers: state.levers, structure: state.structure },
    ...state.pins,
  ];
  $("tablecaption").textContent = `At ${whenLabel(state.at)}; in brackets the difference to the same structure ${page.base}` +
    (page.structures[0].runs > 1 ? ", medians of the draws" : "");
  const heads = [make("th", { scope: "col" }, "Scenario"), ...page.outcomes.map((o) => make("th", { scope: "col" }, o.title, make("small", {}, o.units)))];
  $("table").tHead.replaceChildren(make("tr", {}, ...heads, make("th", { scope: "col" }, make("span", { className: "quiet" }, "What to do"))));
  $("table").tBodies[0].replaceChildren(...rows.map((row, i) => {
    const head = make("th", { scope: "row" }, row.name, make("small", {}, i ? changesOf(row) : ""));
    const cells = page.outcomes.map((outcome) => {
      const reading = readingOf(row.levers, row.structure, outcome), plain = i === 0;
      return make("td", {}, told(reading.value), plain ? "" : make("small", {}, `(${change(reading.difference[2])})`));
    });
    const tools = make("td", {});
    if (i > 1) {
      const place = i - 2;
      const load = make("button", { type: "button", onclick: () => loadPin(place) }, "Load");
      load.setAttribute("aria-label", `Load scenario ${row.name}`);
      const drop = make("button", { type: "button", onclick: () => dropPin(place) }, "Remove");
      drop.setAttribute("aria-label", `Remove scenario ${row.name}`);
      tools.append(load, " ", drop);
    }
    return make("tr", {}, head, ...cells, tools);
  }));
}

function pinNow() {
  const names = ["A", "B", "C"].filter((name) => !state.pins.some((pin) => pin.name === name));
  state.pins.push({ name: names[0], levers: { ...state.levers }, structure: state.structure });
  tell(`Scenario ${names[0]} is pinned: ${changesOf(state.pins.at(-1))}.`);
  refresh();
}

function dropPin(place) {
  const [gone] = state.pins.splice(place, 1);
  tell(`Scenario ${gone.name} is removed.`);
  $("pin").focus();
  refresh();
}

function loadPin(place) {
  state.levers = { ...state.pins[place].levers };
  state.structure = state.pins[place].structure;
  tell(`Scenario ${state.pins[place].name} is on the levers.`);
  refresh();
}

/** The range of the medians over all structures, one after the other; false where a newer move has ended it. */
async function overStructures(asked) {
  if (page.structures.length < 2) return true;
  const outcome = page.outcomes[state.outcome], { levers } = state, found = [];
  for (let place = 0; place < page.structures.length; place++) {
    if (!(await ahead([[{}, place, page.last], [levers, place, shownUntil()]], asked))) return false;
    try {
      if (!proof(place)) return fatal(mismatch(place));
      const reading = readingOf(levers, place, outcome);
      found.push([reading.value, reading.difference[2]]);
    } catch (problem) {
      if (!(problem instanceof KernelError)) throw problem;
    }
  }
  const over = (which) => range(found.map((pair) => pair[which]).filter(Number.isFinite));
  const [least, most] = over(1), words = moved() ? `; difference ${change(least)} to ${change(most)}` : "";
  $("over").textContent = `Over ${found.length} structures, with these levers: ${withUnits(between(...over(0)), outcome.units)}${words} (medians, ${whenLabel(state.at)})`;
  return true;
}

// --- levers -------------------------------------------------------------------------------------------------------------

function leverRow(lever, place) {
  const slider = make("input", { type: "range", id: `lever${place}`, min: lever.low, max: lever.high, step: lever.step });
  const box = make("input", { type: "number", id: `box${place}`, min: lever.low, max: lever.high, step: "any", inputMode: "decimal" });
  box.setAttribute("aria-label", `${lever.title}, as a number`);
  box.setAttribute("aria-describedby", `wrong${place}`);
  slider.setAttribute("aria-describedby", `note${place}`);
  const back = make("button", { type: "button" }, "Reset");
  back.setAttribute("aria-label", `Reset ${lever.title}`);
  const note = make("p", { className: "note", id: `note${place}` });
  const wrong = make("p", { className: "wrong", id: `wrong${place}`, role: "alert" });
  wrong.setAttribute("role", "alert");
  const mark = make("span", { className: "mark" }), units = make("span", { className: "units" });
  mark.setAttribute("aria-hidden", "true");
  const row = make("li", {},
    make("div", { className: "row" }, make("label", { htmlFor: slider.id }, lever.title), box, units),
    make("div", { className: "slide" }, slider, mark),
    make("div", { className: "row" }, note, back), wrong);

  const put = (value) => {
    wrong.textContent = "";
    box.removeAttribute("aria-invalid");
    if (value === null) delete state.levers[lever.id];
    else state.levers[lever.id] = value;
  };
  slider.addEventListener("input", () => {
    put(atStep(Number(slider.value), lever.step));
    dress(false);
    update();
  });
  box.addEventListener("input", () => {
    const problem = box.validity.badInput ? misfit(lever, "") : misfit(lever, box.value);
    if (problem) {
      wrong.textContent = `${problem}; the figure keeps ${lever.id in state.levers ? state.levers[lever.id] : page.base}.`;
      box.setAttribute("aria-invalid", "true");
      return;
    }
    put(Number(box.value));
    dress(true);
    update();
  });
  back.addEventListener("click", () => {
    put(null);
    dress(false);
    update();
  });

  /** Everything of the row as the state has it; what is being written stays as it is. */
  function dress(writing) {
    const base = baseOf(lever), on = lever.id in state.levers, value = on ? state.levers[lever.id] : base;
    slider.value = value;
    units.textContent = monthOf(lever, value) || lever.units;
    slider.setAttribute("aria-valuetext", withUnits(String(on ? value : Number(base.toPrecision(6))), units.textContent) + (on ? "" : `, ${page.base}`));
    if (!writing) box.value = on ? value : Number(base.toPrecision(6));
    back.disabled = !on;
    row.classList.toggle("moved", on);
    const share = Math.min(1, Math.max(0, (base - lever.low) / (lever.high - lever.low)));
    mark.style.left = `calc(8px + ${share} * (100% - 16px))`;
    note.textContent = noteOf(lever, base);
  }
  return { row, dress: () => { wrong.textContent = ""; box.removeAttribute("aria-invalid"); dress(false); } };
}

/** The month of a decimal year, where a page counts in dates and a lever is one of them. */
function monthOf(lever, value) {
  if (!page.labels.length || !/^years?$/i.test(lever.units) || lever.low < 1000) return "";
  return `${MONTHS[Math.min(11, Math.floor((value - Math.floor(value)) * 12 + 1e-9))]} ${Math.floor(value)}`;
}

function noteOf(lever, base) {
  const structure = page.structures[state.structure], [name] = lever.names;
  let text = `${lever.id in state.levers ? "moved · " : ""}▲ ${page.base} ${Number(base.toPrecision(lever.low > 1000 ? 6 : 4))}`;
  if (structure.drawn.includes(name) && structure.runs > 2) {
    const spread = summary(drawsOf(structure)[name].subarray(0, structure.runs - 1)).levels;
    text += ` (90 % of the draws: ${between(spread[0], spread[4])})`;
  }
  return `${text} · from ${lever.low} to ${lever.high}${lever.note ? ` · ${lever.note}` : ""}`;
}

// --- to take along ------------------------------------------------------------------------------------------------------

function tell(text) {
  $("told").textContent = text;
}

async function copy(text, what) {
  $("copied").hidden = false;
  $("copied").value = text;
  try {
    await navigator.clipboard.writeText(text);
    tell(`${what} is copied.`);
  } catch {
    $("copied").select();
    tell(`${what} stands below, to be copied from there.`);
  }
}

function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const anchor = make("a", { href: url, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  tell(`${name} is saved.`);
}

function fileName(ending) {
  const stem = page.model.replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_+|_+$/g, "").slice(0, 60) || "model";
  return `${stem}-scenario.${ending}`;
}

/** The estimate of the structure, by constant. */
function estimate() {
  const structure = page.structures[state.structure], draws = drawsOf(structure);
  return Object.fromEntries(structure.drawn.map((name) => [name, draws[name][structure.runs - 1]]));
}

function csv() {
  const outcome = page.outcomes[state.outcome], { now, base } = readingOf(state.levers, state.structure, outcome, page.last);
  const cell = (value) => (typeof value === "number" ? (Number.isFinite(value) ? String(value) : "") : `"${guarded(value).replaceAll('"', '""')}"`);
  const heads = ["time", ...(page.labels.length ? ["date"] : [])];
  const columns = [];
  const add = (head, values) => { heads.push(head); columns.push(values); };
  if (now.fan) {
    LEVELS.forEach((level, i) => add(`${outcome.title} ${level * 100} %`, now.courses[i]));
    add(`${outcome.title} at the estimate`, now.estimate);
    add(`${outcome.title} ${page.base}, median`, base.middle);
  } else {
    add(outcome.title, now.middle);
    add(`${outcome.title} ${page.base}`, base.middle);
  }
  for (const pin of state.pins) add(`${outcome.title} in ${pin.name}`, coursesOf(pin.levers, pin.structure, outcome, page.last).middle);
  const lines = Array.from(kernel.times, (time, t) =>
    [time, ...(page.labels.length ? [page.labels[t]] : []), ...columns.map((c) => c[t])].map(cell).join(","));
  return `${heads.map(cell).join(",")}\n${lines.join("\n")}\n`;
}

/** A text that no spreadsheet takes for a formula. */
function guarded(text) {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function picture() {
  const shown = view(), svg = shape("svg", { xmlns: SVG });
  const { width, height } = drawChart($("chart"), shown), head = 74;
  const text = (content, y, look) => shape("text", { x: 12, y, "font-family": "system-ui, sans-serif", fill: INK, ...look }, content);
  const body = shape("g", { transform: `translate(0 ${head})` });
  body.append(...Array.from($("chart").childNodes, (node) => node.cloneNode(true)));
  svg.append(shape("rect", { width, height: height + head + 26, fill: "#fff" }), text(page.title, 24, { "font-size": 17, "font-weight": 700 }));
  const words = $("answer").textContent.split(" "), lines = [""];
  for (const word of words) {
    if ((lines.at(-1) + word).length * 6.1 > width - 20) lines.push("");
    lines[lines.length - 1] += `${word} `;
  }
  lines.slice(0, 2).forEach((line, i) => svg.append(text(line, 44 + 16 * i, { "font-size": 12.5 })));
  svg.append(body, text(page.limits[0] ?? "", height + head + 18, { "font-size": 10.5, fill: GREY }));
  svg.setAttribute("viewBox", `0 0 ${width} ${height + head + 26}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height + head + 26);
  const image = new Image();
  image.onload = () => {
    const canvas = make("canvas", { width: 2 * width, height: 2 * (height + head + 26) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(fileName("png"), "image/png", blob));
  };
  image.onerror = () => tell("This browser makes no picture of the figure.");
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(svg))}`;
}

function fillNumbers(shown) {
  const { reading, to } = shown, { now, base } = reading, stride = Math.max(1, Math.ceil(to / 40));
  const heads = ["Time", now.fan ? "Median" : "Now", ...(now.fan ? ["5 %", "95 %"] : []), capital(page.base)];
  $("numbers").tHead.replaceChildren(make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head))));
  const rows = [];
  for (let t = 0; t <= to; t += stride) {
    const values = [now.middle[t], ...(now.fan ? [now.courses[0][t], now.courses[4][t]] : []), base.middle[t]];
    rows.push(make("tr", {}, make("th", { scope: "row" }, whenLabel(t)), ...values.map((value) => make("td", {}, told(value)))));
  }
  $("numbers").tBodies[0].replaceChildren(...rows);
}

// --- the start ----------------------------------------------------------------------------------------------------------

let rows = [];

/** Everything as the state has it. */
function refresh() {
  const structure = page.structures[state.structure];
  rows.forEach(({ dress }) => dress());
  $("structure").value = String(state.structure);
  $("when").value = state.at;
  $("whole").checked = state.whole;
  document.querySelectorAll("#outcomes input").forEach((input, i) => (input.checked = i === state.outcome));
  const basis = structure.basis ? `${structure.basis.sentence}.` : "One run at a time; no parameter of this model was fitted.";
  $("basis").textContent = [basis, page.warning].filter(Boolean).join(" ");
  $("basis").classList.toggle("prior", structure.basis !== null && ["prior", "ranges"].includes(structure.basis.origin));
  legend();
  update();
}

function mismatch(place) {
  return `In this browser the model gives other numbers than the native engine for ${page.structures[place].title} ` +
    "(the digest of the runs at load is not the one that came with the page), so none of them can be trusted. " +
    "Try another browser, and tell the makers of the page.";
}

function build() {
  $("outcomes").hidden = page.outcomes.length < 2;
  document.title = $("title").textContent = page.title;
  page.outcomes.forEach((outcome, i) => {
    const input = make("input", { type: "radio", name: "outcome", value: String(i), onchange: () => { state.outcome = i; state.why = ""; tracing.trail = []; refresh(); } });
    $("outcomes").append(make("label", {}, input, outcome.title));
  });
  rows = page.levers.map(leverRow);
  $("levers").replaceChildren(...rows.map(({ row }) => row));
  $("structures").hidden = page.structures.length < 2;
  page.structures.forEach((structure, i) => $("structure").append(make("option", { value: String(i) }, structure.title)));
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) inView[isIntersecting ? "add" : "delete"](target.id);
  });
  for (const id of ["whysection", "mapsection"]) sight.observe($(id));
  $("limit").textContent = page.limits[0] ?? "";
  $("limits").replaceChildren(...page.limits.map((limit) => make("li", {}, limit)));
  const count = page.structures[0].numbers.toLocaleString("en");
  $("proof").textContent = `At load this page ran the model and compared all ${count} numbers with those of the native engine, by their ` +
    `SHA-256 digest ${page.structures[0].digest.slice(0, 12)}…: equal to the last bit${page.structures.length > 1 ? ", and so for each structure before any number of it is shown" : ""}. Model ${page.model}, digest ${page.model_digest.slice(0, 12)}, ` +
    `cipark_sd ${page.version}. Nothing is sent or loaded; who has this file has the draws in it.`;
  $("when").max = page.last;
  $("wholelabel").hidden = page.until >= page.last;
  $("when").addEventListener("input", () => {
    state.at = Number($("when").value);
    if (state.at > page.until) state.whole = $("whole").checked = true;
    update();
  });
  $("whole").addEventListener("change", () => {
    state.whole = $("whole").checked;
    if (!state.whole) state.at = Math.min(state.at, page.until);
    refresh();
  });
  $("structure").addEventListener("change", () => {
    const place = Number($("structure").value);
    if (!proof(place)) return fatal(mismatch(place));
    state.structure = place;
    return refresh();
  });
  $("reset").addEventListener("click", () => { state.levers = {}; refresh(); });
  $("pin").addEventListener("click", pinNow);
  $("link").addEventListener("click", () => copy(remember(), "The link"));
  $("command").addEventListener("click", () => {
    const { reading, outcome } = view();
    copy(command(state, page, estimate(), kernel.times[state.at]), `The command, one run at the estimate (${withUnits(told(reading.estimate), outcome.units)}),`);
  });
  $("toml").addEventListener("click", () => save(fileName("toml"), "text/plain", scenarioFile(state, page, estimate(), changesOf(state))));
  $("csv").addEventListener("click", () => save(fileName("csv"), "text/csv", csv()));
  $("png").addEventListener("click", picture);
  $("about").previousElementSibling?.addEventListener("toggle", () => fillNumbers(view()));
  document.querySelector("footer a").addEventListener("click", () => ($("about").open = true));
  home.addEventListener("hashchange", restore);
  // a wide frame shows curve and levers and scrolls to what follows; on a phone one page scrolls and not two
  const grow = () => {
    const height = document.documentElement.offsetHeight + 4;
    frame.style.height = `${innerWidth > 800 ? Math.min(height, 760) : height}px`;
  };
  if (frame) new ResizeObserver(grow).observe(document.body);
  new ResizeObserver(update).observe($("view"));
  // what has the focus is not to lie beneath what stays in view
  const makeRoom = () => {
    const { style } = document.documentElement, fixed = getComputedStyle($("view")).position === "sticky";
    style.scrollPaddingBottom = `${document.querySelector("footer").offsetHeight + 8}px`;
    style.scrollPaddingTop = fixed ? `${$("view").offsetHeight + 8}px` : "0";
  };
  const room = new ResizeObserver(makeRoom);
  for (const element of [$("view"), document.querySelector("footer")]) room.observe(element);
}

function restore() {
  const { hash } = home.location;
  if (!hash.includes("=")) return;
  const wrong = read(hash.slice(1), state, page);
  if (!proof(state.structure)) return fatal(mismatch(state.structure));
  if (wrong.length) tell(`The link asks for what this page does not have: ${wrong.join("; ")}.`);
  return refresh();
}

async function start() {
  if (typeof WebAssembly !== "object") return fatal("This browser has no WebAssembly.");
  try {
    kernel = await Kernel.of(bytesOf(page.kernel));
  } catch (problem) {
    return fatal(`This browser does not take the model's WebAssembly (${problem.message}).`);
  }
  page.last = kernel.times.length - 1;
  state.whole = page.until >= page.last;
  if (!proof(0)) return fatal(mismatch(0));
  build();
  await startTracing();
  page.spelling = new Map(tracing.kernel.about.constants.map(({ name, label }) => [name, label]));
  buildWhy();
  buildMap();
  $("page").hidden = false;
  refresh();
  restore();
  return hire();
}

/** Take workers, where the browser has them and they give the numbers of the page itself; else it goes on alone. */
async function hire() {
  const { runs } = page.structures[0], cores = navigator.hardwareConcurrency || 1;
  if (runs === 1 || cores === 1) return;
  let made;
  try {
    made = await Workers.of(kernel, Math.min(cores, 8));
  } catch {
    return;
  }
  const known = runsOf({}, 0), found = await made.run(valuesOf({}, 0), runs, page.last);
  if (found.every((value, i) => Object.is(value, known[i]))) workers = made;
}

addEventListener("unhandledrejection", (event) => fatal(String(event.reason?.message ?? event.reason)));
addEventListener("error", (event) => event.message && !event.message.includes("ResizeObserver") && fatal(event.message));
start();
