/* The page: levers to runs, runs to a figure and to words. Words of a model are data and only ever set as text. */

const page = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { levers: {}, outcome: 0, at: page.at, structure: 0, whole: page.until >= page.last, pins: [], why: "" };
const kept = new Map(), summaries = new WeakMap();
/* So many runs are made as a lever moves; of more every second one, and all of them when it rests. */
const FEW = 101;
let moving = false;
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

/** What has draws, `of` "all": a structure; of its "prior"; of "some", every second draw of a structure. */
function holderOf(place, of) {
  const structure = page.structures[place];
  if (of === "some") return (structure.some ??= thinned(structure));
  return of === "prior" ? structure.prior : structure;
}

/** Every second draw and the estimate. */
function thinned(structure) {
  const last = structure.runs - 1, runs = Math.ceil(last / 2) + 1, draws = Object.entries(drawsOf(structure));
  const columns = draws.map(([name, values]) => [name, Float64Array.from({ length: runs }, (_, run) => values[Math.min(2 * run, last)])]);
  return { ...structure, runs, columns: Object.fromEntries(columns) };
}

/** Draws by constant, and of numbers of the noise by name; the estimate last. */
function drawsOf(holder) {
  if (!holder.columns) {
    const numbers = new Float64Array(bytesOf(page.draws[holder.draws]).buffer);
    holder.columns = Object.fromEntries([...holder.drawn, ...holder.beside].map((name, i) => [name, numbers.subarray(i * holder.runs, (i + 1) * holder.runs)]));
  }
  return holder.columns;
}

/** The constants of a structure's runs with levers. */
function valuesOf(levers, place, of = "all") {
  const holder = holderOf(place, of), values = { ...page.structures[place].set };
  for (const name of holder.drawn) values[name] = drawsOf(holder)[name];
  for (const lever of page.levers)
    if (lever.id in levers) for (const name of lever.names) values[name] = levers[lever.id];
  return values;
}

function keyOf(levers, place, last, of = "all") {
  return JSON.stringify([place, last, of, levers]);
}

function keep(key, found) {
  kept.set(key, found);
  // the base runs stay, of many others the oldest go
  const others = [...kept.keys()].filter((old) => !old.endsWith(",{}]"));
  if (others.length > 40) kept.delete(others[0]);
  return found;
}

/** The part of the base runs, which are kept whole, up to a time. */
function baseUntil(place, last, of) {
  const { runs } = holderOf(place, of), whole = runsOf({}, place, page.last, of), times = page.last + 1, outputs = kernel.about.outputs.length;
  const found = new Float64Array(outputs * (last + 1) * runs);
  for (let output = 0; output < outputs; output++)
    found.set(whole.subarray(output * times * runs, (output * times + last + 1) * runs), output * (last + 1) * runs);
  return found;
}

/** All outputs of a structure's runs with levers up to a time, output by output, in each time by time, in each run by run. */
function runsOf(levers, place, last = page.last, of = "all") {
  const key = keyOf(levers, place, last, of);
  if (kept.has(key)) return kept.get(key);
  if (last < page.last && !moved(levers)) return keep(key, baseUntil(place, last, of));
  return keep(key, kernel.run(valuesOf(levers, place, of), holderOf(place, of).runs, { last }));
}

/**
 * Have runs kept, `[levers, structure, last time, of which draws]` each, before they are read. With the move that they are
 * `asked` for it ends as soon as there is a newer one, whose turn it is, and resolves to false.
 */
async function ahead(wanted, asked = null) {
  const stale = () => asked !== null && asked !== turn;
  for (const [levers, place, last, of = "all"] of wanted) {
    const until = moved(levers) ? last : page.last, key = keyOf(levers, place, until, of);
    if (!kept.has(key)) {
      try {
        if (workers) keep(key, await workers.run(valuesOf(levers, place, of), holderOf(place, of).runs, until));
        else {
          await breath();
          if (!stale()) runsOf(levers, place, until, of);
        }
      } catch (problem) {
        // who reads these runs meets it again
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

/** What a lever is before it is moved. */
function baseOf(lever, place = state.structure) {
  const structure = page.structures[place], [name] = lever.names;
  if (structure.drawn.includes(name)) return drawsOf(structure)[name][structure.runs - 1];
  return structure.set[name] ?? kernel.defaults[kernel.places.get(name)];
}

/** An outcome of runs: time by time, in each run by run. */
function curvesOf(values, outcome, holder) {
  const size = values.length / kernel.about.outputs.length;
  const sum = (places) => {
    const total = new Float64Array(size);
    for (const place of places) for (let i = 0; i < size; i++) total[i] += values[place * size + i];
    return total;
  };
  const whole = sum(outcome.parts);
  if (outcome.per.length) sum(outcome.per).forEach((value, i) => (whole[i] /= value));
  const found = outcome.waiting ? counted(kernel.times, whole, holder.runs, outcome.waiting, drawsOf(holder)) : whole;
  const lacks = drawsOf(holder)[`lacks ${outcome.id}`];
  if (lacks) goOn(kernel.times, found, holder.runs, outcome.last, lacks);
  return found;
}

/** The last time that is shown, beyond which nothing need be computed. */
function shownUntil() {
  return state.whole ? page.last : page.until;
}

/** Five quantiles of an outcome at each time over the draws, or its one line, and the run at the estimate. */
function coursesOf(levers, place, outcome, last = shownUntil(), of = "all") {
  const values = runsOf(levers, place, last, of);
  if (!summaries.has(values)) summaries.set(values, new Map());
  const byOutcome = summaries.get(values);
  if (!byOutcome.has(outcome)) byOutcome.set(outcome, summed(values, holderOf(place, of), outcome, last, moved(levers)));
  return byOutcome.get(outcome);
}

/** Of the model as it was fitted the page has quantiles over all draws, not over those alone that it runs. */
function wholeOf(holder, outcome, last) {
  const text = holder.whole?.[page.outcomes.indexOf(outcome)];
  if (!text) return null;
  const numbers = new Float64Array(bytesOf(text).buffer), times = page.last + 1;
  return LEVELS.map((_, i) => numbers.subarray(i * times, i * times + last + 1));
}

function summed(values, holder, outcome, last, changed) {
  const { runs } = holder, curves = curvesOf(values, outcome, holder);
  const times = last + 1, estimate = Float64Array.from({ length: times }, (_, t) => curves[t * runs + runs - 1]);
  if (runs === 1) return { curves, courses: [estimate], estimate, middle: estimate, lost: 0, fan: false };
  const whole = changed ? null : wholeOf(holder, outcome, last);
  const courses = whole ?? LEVELS.map(() => new Float64Array(times));
  let lost = 0;
  for (let t = 0; t < times && !whole; t++) {
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

/** When something was counted, in a sentence: on its date, else on that of the time of the run. */
function whenCounted({ time, date }) {
  const slack = 1e-6 * Math.max(1, Math.abs(time)), label = page.labels[kernel.times.findIndex((t) => t >= time - slack)] ?? "";
  return dated(date) ? `on ${dated(date)}` : dated(label) ? `on ${dated(label)}` : `at ${date}`;
}

/** A time in a sentence: on a date, in a year, at a time of the model. */
function whenSaid(at) {
  const label = whenLabel(at);
  return dated(page.labels[at] ?? "") ? `on ${label}` : /^years?$/i.test(kernel.about.time.units) ? `in ${label}` : `at ${label}`;
}

/** At the time of reading: the draws now, and the difference of each draw to itself. */
function readingOf(levers, place, outcome, last = shownUntil(), of = "all") {
  // there are base runs of all draws, also beside some of a moved lever
  const whole = of === "some" ? "all" : of, every = holderOf(place, whole).runs, stride = of === "some" ? 2 : 1;
  const now = coursesOf(levers, place, outcome, last, of), base = coursesOf({}, place, outcome, last, whole), at = state.at;
  const { runs } = holderOf(place, of), n = now.fan ? runs - 1 : 1;
  const draws = Float64Array.from({ length: n }, (_, run) => now.curves[at * runs + run]);
  const differences = draws.map((value, run) => value - base.curves[at * every + stride * run]);
  const levels = now.courses.length > 1 ? now.courses.map((course) => course[at]) : summary(draws).levels;
  const difference = summary(differences).levels, change = moved(levers);
  return {
    levers, now, base, value: now.middle[at], estimate: now.estimate[at], difference, at, change,
    draws: change ? differences : draws, levels: change ? difference : levels,
  };
}

/** Whether the draws have seen no data. */
function isUnseen(structure = page.structures[state.structure]) {
  return structure.basis !== null && ["prior", "ranges"].includes(structure.basis.origin);
}

/** What is asked: the outcome, when, and what was moved with all that moves along. */
function questionOf({ change, at }, outcome) {
  const levers = page.levers.filter((lever) => lever.id in state.levers);
  const along = new Set(levers.flatMap((lever) => lever.along)).size;
  const place = state.structure ? `, ${page.structures[state.structure].title}` : "";
  const name = `${outcome.title}${outcome.waiting ? " as reported" : ""} ${whenSaid(at)}${place}`;
  if (!change) return `${name}, ${page.structures[0].basis ? `model ${page.base}` : `all values ${page.base}`}`;
  const words = (lever) => `${lever.title} ${saidValue(lever, state.levers[lever.id])} instead of ${saidValue(lever, baseOf(lever))}`;
  const what = levers.length > 2 ? `${levers.length} levers moved` : levers.map(words).join(" and ");
  return `${name}, ${what}${along ? `; ${along} ${along === 1 ? "date moves" : "dates move"} with it` : ""}`;
}

/* What the class, the sentence and the intervals on show are of; they come when the levers rest. */
let classified = "";

function askedNow() {
  return JSON.stringify([state.levers, state.structure, state.outcome, state.at]);
}

/** The answer as far as the runs of this move say; its class comes when the levers rest. */
function showAnswer(reading, outcome) {
  if (classified === askedNow()) return;
  classified = "";
  const { now, levels, change } = reading, width = levels[4] - levels[0], set = new Set(page.levers.filter((lever) => lever.id in state.levers).flatMap((lever) => lever.names));
  const structure = page.structures[state.structure], free = structure.drawn.some((name) => !set.has(name)) || structure.beside.length;
  const number = make("data", { id: "now", value: String(now.fan ? levels[2] : reading.value) });
  const parts = [number];
  if (now.fan) {
    const error = medianError(reading.draws, structure.basis?.worth ?? Infinity), [middle, ends] = saidLevels(levels, outcome, change, error);
    number.textContent = middle;
    if (free && width > 0) parts.push(" ", make("small", { className: "nb" }, `(90%: ${ends})`));
  } else {
    number.textContent = withUnits(told(reading.value), outcome.units);
    if (change) parts.push(" ", make("small", {}, `(${saidChange(reading.difference[2], 0, { ...outcome, whole: false })} than ${page.base})`));
  }
  $("question").textContent = questionOf(reading, outcome);
  $("number").replaceChildren(...parts);
  const classed = structure.prior !== null;
  $("answer").className = classed ? "ans classed" : "ans";
  $("class").replaceChildren(classed ? make("span", { className: "cls" }, "…") : isUnseen() ? badge("assumed") : "");
  $("class").hidden = !classed && !isUnseen();
  const said = [isUnseen() ? "No data have been used." : ""];
  if (!change && !classed) said.push(countedBeside(outcome, kernel.times[reading.at]));
  if (!classed && page.misfit) said.push(`${capital(page.misfit)}.`);
  if (now.lost) said.push(`${now.lost} runs have no number and are left out.`);
  $("say").textContent = said.filter(Boolean).join(" ");
  $("beside").classList.toggle("waits", classed);
  if (!classed) $("beside").replaceChildren();
}

/** The class of the answer, over all models that were fitted; false where a newer move has ended it. */
async function classify(reading, outcome, asked) {
  const { levers } = reading, last = shownUntil(), own = state.structure, key = askedNow();
  if (classified === key) return true;
  if (page.structures[own].prior === null) return overStructures(reading, outcome, asked);
  const pairs = [], medians = [];
  let prior = null;
  for (let place = 0; place < page.structures.length; place++) {
    const wanted = ["prior", "all"].flatMap((of) => [[{}, place, last, of], [levers, place, last, of]]);
    if (!(await ahead(wanted, asked))) return false;
    if (!proof(place)) return fatal(mismatch(place));
    try {
      const [before, after] = ["prior", "all"].map((of) => readingOf(levers, place, outcome, last, of));
      pairs.push([before.draws, after.draws]);
      if (place === own) prior = before.levels;
      else medians.push(after.levels[2]);
    } catch (problem) {
      if (!(problem instanceof KernelError)) throw problem;
    }
  }
  if (prior === null) return true;
  const [kind, named, says] = (reading.change || own ? null : recorded(outcome, reading.at)) ?? [classOf(pairs, reading.change, page.misfit)];
  const sentence = says ?? page.rule.classes[kind][reading.change ? "change" : "level"];
  const time = kernel.times[reading.at];
  const after = page.dataEnd !== null && time > page.dataEnd + 1e-9 * Math.abs(time);
  $("answer").className = `ans classed ${kind}`;
  $("class").replaceChildren(badge(kind, named));
  const parts = [page.misfit ? `${capital(page.misfit)}, so that intervals are too narrow.` : "", sentenceOf(sentence, prior, outcome, reading.change, after), reading.change ? "" : countedBeside(outcome, time)];
  if (reading.now.lost) parts.push(`${reading.now.lost} runs have no number and are left out.`);
  $("say").textContent = parts.filter(Boolean).join(" ");
  const rows = [{ name: "with data", levels: reading.levels }, { name: "priors alone", levels: prior }];
  if (medians.length) rows.push({ name: `${medians.length} rivals`, ticks: medians });
  const seen = reading.change ? null : outcome.seen.find((s) => s.low === s.high && Math.abs(s.time - time) < 1e-9 * Math.max(1, Math.abs(time)))?.low ?? null;
  const strip = intervals(rows, COLORS[kind], { seen, zero: reading.change });
  const words = rows.filter((row) => row.levels).map((row) => `${row.name} ${saidLevels(row.levels, outcome, reading.change).join(", ")}`);
  strip.setAttribute("aria-label", words.join("; "));
  const ticked = medians.length ? ` Tick: median of a rival model (${saidMedians(medians, outcome, reading)}).` : "";
  $("beside").replaceChildren(strip, make("p", { className: "rv" }, `Dot: median. Bar: 90%.${seen === null ? "" : " Red: reported."}${ticked}`));
  $("beside").classList.remove("waits");
  classified = key;
  return true;
}

function saidMedians(medians, outcome, reading) {
  const [low, high] = range(medians), width = reading.levels[4] - reading.levels[0];
  if (reading.change) return saidChanges(low, high, outcome);
  return `${near(low, width, outcome.whole)} to ${near(high, width, outcome.whole)}`;
}

/** Of structures without data the range of the middles; false where a newer move has ended it. */
async function overStructures(reading, outcome, asked) {
  if (page.structures.length < 2) return true;
  const medians = [];
  for (let place = 0; place < page.structures.length; place++) {
    if (!(await ahead([[{}, place, page.last], [reading.levers, place, shownUntil()]], asked))) return false;
    try {
      if (!proof(place)) return fatal(mismatch(place));
      medians.push(readingOf(reading.levers, place, outcome).levels[2]);
    } catch (problem) {
      if (!(problem instanceof KernelError)) throw problem;
    }
  }
  const what = page.structures[0].runs > 1 ? "medians" : "one run each";
  $("beside").replaceChildren(make("p", { className: "rv" }, `Over ${medians.length} structures: ${saidMedians(medians.filter(Number.isFinite), outcome, reading)} (${what}).`));
  return true;
}

// --- the figure ---------------------------------------------------------------------------------------------------------

function view(levers = state.levers, of = "all") {
  const to = shownUntil(), outcome = page.outcomes[state.outcome], reading = readingOf(levers, state.structure, outcome, to, of);
  const pins = state.pins.map((pin, place) => ({ label: pin.name, place, course: coursesOf(pin.levers, pin.structure, outcome).middle }));
  const structure = page.structures[state.structure];
  return {
    reading, outcome, pins, to, unitsSaid: page.plurals[outcome.units] || outcome.units,
    from: 0, times: kernel.times, at: state.at, units: outcome.units, seen: outcome.seen,
    courses: reading.now.courses, fan: reading.now.fan, base: reading.base.middle,
    prior: isUnseen(structure), title: `${outcome.title}${outcome.waiting ? ", as reported" : ""}`, dataEnd: page.dataEnd,
    tickLabels: tickLabels(0, to), whenLabel,
  };
}

function show(levers, asked, of, pause = 250) {
  let shown;
  try {
    shown = view(levers, of);
  } catch (problem) {
    if (!(problem instanceof KernelError)) throw problem;
    // no number of another setting stays in its place
    $("problem").textContent = `No numbers for these values: ${problem.message}.`;
    $("problem").hidden = false;
    clearTimeout(speaking);
    speaking = 0;
    classified = "";
    for (const part of ["question", "class", "number", "say", "beside"]) $(part).replaceChildren();
    $("number").textContent = "—";
    $("chart").replaceChildren();
    $("caption").textContent = "No figure for these values.";
    showCopyable(false);
    return;
  }
  $("problem").hidden = true;
  drawChart($("chart"), shown);
  showAnswer(shown.reading, shown.outcome);
  $("caption").textContent = described(shown);
  $("whentext").textContent = whenLabel(state.at);
  $("when").setAttribute("aria-valuetext", whenLabel(state.at));
  showCopyable(true);
  clearTimeout(explaining);
  // after the frame in which this is painted, and not where another move has come meanwhile
  requestAnimationFrame(() => { explaining = setTimeout(() => !waiting && explain(inView), 0); });
  clearTimeout(speaking);
  speaking = setTimeout(() => (of === "some" ? completed(levers, asked) : atRest(shown, asked)), pause);
}

/** The same of all draws, when a lever rests. */
async function completed(levers, asked) {
  if (turn !== asked) return;
  moving = false;
  if (await ahead([[levers, state.structure, shownUntil()]], asked)) show(levers, asked, "all", 0);
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
    $("whytext").textContent = `No causes for these values: ${problem.message}.`;
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
  const seen = outcome.seen.length ? ` Points: ${outcome.seen.length} numbers that were reported.` : "";
  const basis = shown.prior ? " The draws are of the priors; no data have been used." : "";
  const noise = reading.now.fan && outcome.seen.length ? " Bands are without the noise of counts." : "";
  return `${outcome.title} from ${told(first)} at ${whenLabel(0)} to ${withUnits(told(last), outcome.units)} at ${whenLabel(shown.to)}; ` +
    `${page.base} it ends at ${told(reading.base.middle[shown.to])}.${seen}${noise}${basis}`;
}

/**
 * What may wait until a lever rests: the table, the address, the class, what a screen reader hears, shares. A move
 * that comes meanwhile ends it.
 */
async function atRest(shown, asked) {
  if (turn !== asked) return;
  const { levers, structure, pins } = state, last = shownUntil();
  remember();
  fillNumbers(shown);
  if (!(await classify(shown.reading, shown.outcome, asked))) return;
  $("spoken").textContent = ["question", "class", "number", "say"].map((id) => $(id).textContent).join(". ");
  if (!(await ahead(pins.flatMap((pin) => [[pin.levers, pin.structure, last], [{}, pin.structure, last]]), asked))) return;
  compare();
  if (!(await ahead(sharedRuns(levers).map((some) => [some, structure, last]), asked))) return;
  showShares();
  explain(new Set(["whysection", "mapsection"]));
  speaking = 0;
}

/** Draw what the state asks for. With workers the page hears of newer moves meanwhile; each that is made is drawn. */
async function draw() {
  for (let drawn = null; drawn !== turn;) {
    const { structure, pins } = state, last = shownUntil();
    // the draws that are left out follow when the lever rests
    const whole = !moving || !moved() || page.structures[structure].runs <= FEW || kept.has(keyOf(state.levers, structure, last));
    const of = whole ? "all" : "some";
    const wanted = [[state.levers, structure, last, of], [{}, structure, last], ...pins.map((pin) => [pin.levers, pin.structure, last])];
    const made = !workers || wanted.every((run) => kept.has(keyOf(...run))), asked = turn;
    if (made) await new Promise(requestAnimationFrame);
    // a move that came within the frame is for the workers too
    if (workers && turn !== asked) continue;
    drawn = turn;
    const levers = { ...state.levers };
    if (!made) await ahead(wanted);
    show(levers, drawn, of);
  }
  waiting = false;
}

function update() {
  turn += 1;
  if (waiting) return;
  waiting = true;
  draw();
}

// a frame is as high as what is in it; within a report the address is the report's, and a notebook hears what is set
const frame = window.frameElement, notebook = frame !== null && !frame.matches(".player");
const home = frame && !notebook ? window.parent : window;

/** The levers that are moved, by the names that Python and commands take. */
function named() {
  const levers = page.levers.filter(({ id }) => id in state.levers);
  return Object.fromEntries(levers.flatMap(({ id, set }) => set.map((name) => [name, state.levers[id]])));
}

/** What a notebook sets: levers by their names; one that is not named, or cannot have the value, is as fitted. */
function setFromNotebook({ detail }) {
  const before = JSON.stringify(named());
  state.levers = {};
  for (const { id, set, low, high } of page.levers) {
    const value = detail[set[0]];
    if (typeof value === "number" && value >= low && value <= high) state.levers[id] = value;
  }
  if (JSON.stringify(named()) !== before) return refresh();
  return remember();
}

/** What the address was last set to: what is drawn once more must not take the place of a link that was followed. */
let remembered = "";

function remember() {
  const hash = `#${written(state, page)}`;
  if (notebook) frame.dispatchEvent(new CustomEvent("levers", { detail: named() }));
  try {
    if (hash !== remembered) home.history.replaceState(null, "", hash);
  } catch {
    // some browsers keep the address of a file as it is; the link is still copied whole
  }
  remembered = hash;
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
    entries.push(entry(`50% and 90% ranges of the expected number${outcome.seen.length ? "; reported numbers scatter around it" : ""}`, ...bands));
  }
  entries.push(entry("your setting", line({ stroke: BLUE, "stroke-width": 2.5 })));
  entries.push(entry(page.base, line({ stroke: BASE.color, "stroke-width": 1.6, "stroke-dasharray": BASE.dash })));
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
    .map(([lever, value]) => `${lever.title} ${saidValue(lever, value)}`);
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
  $("tablecaption").textContent = `${capital(whenSaid(state.at))}: the first row, and then what each scenario changes in the same structure` +
    (page.structures[0].runs > 1 ? ", medians of the draws" : "");
  const heads = [make("th", { scope: "col" }, "Scenario"), ...page.outcomes.map((o) => make("th", { scope: "col" }, o.title, make("small", {}, o.units)))];
  $("table").tHead.replaceChildren(make("tr", {}, ...heads, make("th", { scope: "col" }, make("span", { className: "quiet" }, "What to do"))));
  $("table").tBodies[0].replaceChildren(...rows.map((row, i) => {
    const head = make("th", { scope: "row" }, row.name, make("small", {}, i ? changesOf(row) : ""));
    const cells = page.outcomes.map((outcome) => {
      const reading = readingOf(row.levers, row.structure, outcome), { levels } = reading, width = levels[4] - levels[0];
      if (!reading.change) return make("td", {}, near(reading.value, width, outcome.whole));
      return make("td", {}, saidChange(levels[2], width, { ...outcome, units: "" }).trim());
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

// --- levers -------------------------------------------------------------------------------------------------------------

/** A lever in words: a month for a date, else the number with its unit. */
function saidValue(lever, value) {
  return monthOf(lever, value) || withUnits(saidEnd(lever, Number(value.toPrecision(lever.low > 1000 ? 6 : 4))), lever.units).replaceAll(" ", "\u00a0");
}

function leverRow(lever, place) {
  const dates = isDate(lever), ids = { wrong: `wrong${place}`, about: `about${place}`, note: `note${place}` };
  const slider = make("input", { type: "range", id: `lever${place}`, min: lever.low, max: lever.high, step: lever.step });
  const box = make("input", dates
    ? { type: "month", id: `box${place}`, min: monthValue(lever.low), max: monthValue(lever.high) }
    : { type: "number", id: `box${place}`, min: lever.low, max: lever.high, step: "any", inputMode: "decimal" });
  box.setAttribute("aria-label", `${lever.title}, as a ${dates ? "month" : "number"}`);
  box.setAttribute("aria-describedby", ids.wrong);
  slider.setAttribute("aria-describedby", `${ids.about} ${ids.note}`);
  const back = make("button", { type: "button" }, "Reset");
  back.setAttribute("aria-label", `Reset ${lever.title}`);
  const along = lever.along.length ? `Moves with it: ${listed(lever.along)}.` : "";
  const about = make("p", { className: "note", id: ids.about }, lever.about, lever.about && along ? " " : "", make("b", {}, along));
  if (lever.standing) {
    const [kind, named, says] = asStanding(lever.standing);
    about.append(lever.about || along ? " " : "", make("span", { title: `${says}.` }, badge(kind, named)));
  }
  const note = make("span", { className: "was", id: ids.note });
  const wrong = make("p", { className: "wrong", id: ids.wrong, role: "alert" });
  wrong.setAttribute("role", "alert");
  const mark = make("span", { className: "mark" }), units = make("span", { className: "units" }, dates ? "" : lever.units);
  mark.setAttribute("aria-hidden", "true");
  const row = make("li", {},
    make("div", { className: "row" }, make("label", { htmlFor: slider.id }, lever.title), box, units), about,
    make("div", { className: "slide" }, slider, mark),
    make("div", { className: "row ends" }, make("span", {}, saidEnd(lever, lever.low)), note, back, make("span", {}, saidEnd(lever, lever.high))), wrong);

  const put = (value) => {
    wrong.textContent = "";
    box.removeAttribute("aria-invalid");
    if (value === null) delete state.levers[lever.id];
    else state.levers[lever.id] = value;
  };
  slider.addEventListener("input", () => {
    put(atStep(Number(slider.value), lever.step));
    dress(false);
    moving = true;
    update();
  });
  box.addEventListener("input", () => {
    const value = dates ? yearOf(lever, box.value) : box.value;
    const problem = box.validity.badInput ? misfit(lever, "") : misfit(lever, value);
    if (problem) {
      wrong.textContent = `${problem}; the figure keeps ${lever.id in state.levers ? saidValue(lever, state.levers[lever.id]) : origin(lever)}.`;
      box.setAttribute("aria-invalid", "true");
      return;
    }
    put(Number(value));
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
    slider.setAttribute("aria-valuetext", saidValue(lever, value) + (on ? "" : `, ${origin(lever)}`));
    if (!writing) box.value = dates ? monthValue(value) : Number(value.toPrecision(lever.low > 1000 ? 6 : 4));
    back.hidden = !on;
    row.classList.toggle("moved", on);
    const share = Math.min(1, Math.max(0, (base - lever.low) / (lever.high - lever.low)));
    mark.style.left = `calc(8px + ${share} * (100% - 16px))`;
    note.textContent = noteOf(lever, base);
  }
  return { row, dress: () => { wrong.textContent = ""; box.removeAttribute("aria-invalid"); dress(false); } };
}

/** Whether a lever is a date in decimal years. */
function isDate(lever) {
  return page.labels.length > 0 && /^years?$/i.test(lever.units) && lever.low >= 1000;
}

/** The month of a decimal year, where a lever is a date. */
function monthOf(lever, value) {
  if (!isDate(lever)) return "";
  return `${MONTHS[Math.min(11, Math.floor((value - Math.floor(value)) * 12 + 1e-9))]} ${Math.floor(value)}`;
}

/** A decimal year as a box for months has it, and the other way: the month's start, as far as the lever reaches. */
function monthValue(value) {
  const month = Math.min(11, Math.floor((value - Math.floor(value)) * 12 + 1e-9)) + 1;
  return `${Math.floor(value)}-${String(month).padStart(2, "0")}`;
}

function yearOf(lever, text) {
  const parts = /^(\d{4})-(\d\d)$/.exec(text);
  if (!parts || text < monthValue(lever.low) || text > monthValue(lever.high)) return parts ? Number(parts[1]) + (Number(parts[2]) - 1) / 12 : text;
  return Math.min(lever.high, Math.max(lever.low, Number((Number(parts[1]) + (Number(parts[2]) - 1) / 12).toFixed(4))));
}

function saidEnd(lever, value) {
  return monthOf(lever, value) || value.toLocaleString("en", { maximumSignificantDigits: 6 });
}

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** Where the value of a lever comes from: a constant that was not fitted is assumed, also in a fitted model. */
function origin(lever) {
  return lever.fitted || page.base !== "as fitted" ? page.base : "as assumed";
}

function noteOf(lever, base) {
  const structure = page.structures[state.structure], [name] = lever.names;
  const text = `${origin(lever)}: ${saidValue(lever, base)}`;
  if (!structure.drawn.includes(name) || structure.runs <= 2) return text;
  const { levels } = summary(drawsOf(structure)[name].subarray(0, structure.runs - 1)), width = levels[4] - levels[0];
  // the middle of the draws and not the best fit stands beside their ends
  return `${origin(lever)}: ${near(levels[2], width, false)} (90%: ${near(levels[0], width, false)} to ${near(levels[4], width, false)})`;
}

// --- to take along ------------------------------------------------------------------------------------------------------

function tell(text) {
  $("news").textContent = text;
}

async function copy(text, what) {
  $("copied").hidden = false;
  $("copied").value = text;
  try {
    await navigator.clipboard.writeText(text);
    tell(`${what} is copied.`);
  } catch {
    $("copied").select();
    tell(`${what} is below: copy it from there.`);
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
    LEVELS.forEach((level, i) => add(`${outcome.title} ${level * 100}%`, now.courses[i]));
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
  const words = ["question", "number", "class", "say"].map((id) => $(id).textContent).filter(Boolean).join(". ").split(" "), lines = [""];
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
  image.onerror = () => tell("This browser cannot draw the figure as a picture.");
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(svg))}`;
}

function fillNumbers(shown) {
  const { reading, to } = shown, { now, base } = reading, stride = Math.max(1, Math.ceil(to / 40));
  const heads = ["Time", now.fan ? "Median" : "Now", ...(now.fan ? ["5%", "95%"] : []), capital(page.base)];
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
  moving = false;
  const structure = page.structures[state.structure];
  rows.forEach(({ dress }) => dress());
  $("structure").value = String(state.structure);
  $("when").value = state.at;
  $("whole").checked = state.whole;
  document.querySelectorAll("#outcomes input").forEach((input, i) => (input.checked = i === state.outcome));
  const unseen = isUnseen() ? `${capital(structure.basis.sentence)}.` : "";
  $("basis").textContent = [unseen, page.notice].filter(Boolean).join(" ");
  $("basis").classList.toggle("prior", isUnseen());
  legend();
  update();
}

function mismatch(place) {
  return `In this browser the model gives other numbers than the native engine for ${page.structures[place].title} ` +
    "(the digest of the runs at load is not the one that came with the page), so none of them can be trusted. " +
    "Try another browser, and write to the makers of the page.";
}

function build() {
  $("outcomes").hidden = page.outcomes.length < 2;
  document.title = $("title").textContent = page.title;
  page.outcomes.forEach((outcome, i) => {
    const input = make("input", { type: "radio", name: "outcome", value: String(i), onchange: () => { state.outcome = i; state.why = ""; tracing.trail = []; openView(); refresh(); } });
    $("outcomes").append(make("label", {}, input, outcome.title));
  });
  rows = page.levers.map(leverRow);
  $("levers").replaceChildren(...rows.map(({ row }) => row));
  $("structures").hidden = page.structures.length < 2;
  $("structurehead").textContent = `${page.structures.length - 1} rival models`;
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
    `cipark_sd ${page.version}. Nothing is sent or loaded; the draws are in this file.` +
      (page.structures[0].basis ? ` Bands and differences are of ${page.structures[0].runs - 1} ${page.structures[0].basis.name}${page.structures[0].runs > FEW ? "; while a lever moves, of every second one" : ""}.` : "");
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
  for (const link of document.querySelectorAll("a[href='#about']")) link.addEventListener("click", () => ($("more").open = $("about").open = true));
  home.addEventListener("hashchange", restore);
  $("link").hidden = notebook;
  if (notebook) frame.addEventListener("set", setFromNotebook);
  // in a frame there is one title and one scroll bar: the frame is as high as what is in it
  document.documentElement.classList.toggle("framed", frame !== null);
  $("more").open = frame === null;
  const grow = () => (frame.style.height = `${document.documentElement.offsetHeight + 4}px`);
  if (frame) new ResizeObserver(grow).observe(document.body);
  new ResizeObserver(update).observe($("view"));
  // what has the focus is not to lie beneath what stays in view
  const makeRoom = () => {
    const { style } = document.documentElement, fixed = getComputedStyle($("view")).position === "sticky";
    style.scrollPaddingTop = fixed ? `${$("view").offsetHeight + 8}px` : "0";
  };
  new ResizeObserver(makeRoom).observe($("view"));
}

function restore() {
  const { hash } = home.location;
  if (!hash.includes("=")) return;
  const wrong = read(hash.slice(1), state, page);
  if (!proof(state.structure)) return fatal(mismatch(state.structure));
  if (wrong.length) tell(`The link asks for what this page does not have: ${wrong.join("; ")}.`);
  openView();
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
  // what is counted in tens is written in whole ones
  for (const outcome of page.outcomes) outcome.whole &&= range(coursesOf({}, 0, outcome, page.last).middle)[1] >= 10;
  build();
  await startTracing();
  page.spelling = new Map(tracing.kernel.about.constants.map(({ name, label }) => [name, label]));
  buildWhy();
  buildMap();
  openView();
  $("page").hidden = false;
  refresh();
  restore();
  if (notebook) frame.dispatchEvent(new CustomEvent("ready"));
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
