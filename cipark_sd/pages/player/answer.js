/* The answer: its number, its class, what the priors alone say, and the medians of rival models. A number that the fit's
   report has bears the class that it has there; for the runs that are made here classes come from intervals and shares of
   draws alone, by the rule of `claims.py`. */

/* The colour of each class; `page.rule` has its words, and the numbers of the rule. */
const COLORS = { informed: "#0a6652", undecided: "#85540a", assumed: "#5a4590" };

/** The interval of a share by Wilson's formula, as `claims.py` has it. */
function wilson(count, n) {
  const Z = page.rule.z, share = count / n, z2 = Z * Z, middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = (Z / (1 + z2 / n)) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n));
  return [count === 0 ? 0 : Math.max(0, middle - half), count === n ? 1 : Math.min(1, middle + half)];
}

/** The sign towards which draws move the odds threefold, beyond what a finite number of them leaves open; else 0. */
function oddsMoved(prior, posterior) {
  const odds = (share) => share / (1 - share);
  const rising = (draws) => wilson(draws.filter((x) => x > 0).length, draws.filter((x) => x !== 0).length);
  const before = rising(prior), after = rising(posterior);
  return odds(after[0]) >= page.rule.moved * odds(before[1]) ? 1 : odds(after[1]) * page.rule.moved <= odds(before[0]) ? -1 : 0;
}

/** The share of the central 90% of the prior that lies in those of the posterior, and its standard error: `left` of standing.py. */
function shareLeft(prior, posterior) {
  const { groups } = page.rule;
  const without = (draws, group) => draws.filter((_, i) => i % groups !== group);
  const share = (before, after) => {
    const [alone, ours] = [before, after].map((draws) => summary(draws).levels), width = alone[4] - alone[0];
    return width > 0 ? Math.max(0, Math.min(alone[4], ours[4]) - Math.max(alone[0], ours[0])) / width : 1;
  };
  const ratio = share(prior, posterior);
  const others = Array.from({ length: groups }, (_, group) => share(without(prior, group), without(posterior, group)));
  const mean = others.reduce((sum, one) => sum + one, 0) / groups;
  return [ratio, Math.sqrt(((groups - 1) / groups) * others.reduce((sum, one) => sum + (one - mean) ** 2, 0))];
}

/** The sign that the priors alone give a difference, the same under every model that was fitted; 0 where they leave it open. */
function assumedSign(pairs) {
  const moving = pairs.map(([prior]) => prior.filter((x) => x !== 0));
  return [1, -1].find((sign) => moving.every((draws) => draws.filter((x) => sign * x > 0).length / draws.length >= page.rule.sure)) ?? 0;
}

/**
 * The class of a number: `pairs` has draws of it before and after the data under each model that was fitted; `misfit` says
 * what the model does not follow of them. `claims.py` says what the classes mean.
 */
function classOf(pairs, change, misfit) {
  const clean = pairs.map((pair) => pair.map((draws) => Array.from(draws).filter(Number.isFinite)));
  const turns = clean.map((pair) => (change ? oddsMoved(...pair) : 0)), sign = change ? assumedSign(clean) : 0;
  if (sign) return !misfit && turns.every((turn) => turn === -sign) ? "informed" : "assumed";
  const narrowed = (pair) => { const [ratio, error] = shareLeft(...pair); return ratio + page.rule.oneSided * error <= page.rule.narrow; };
  return !misfit && clean.every((pair, i) => turns[i] || narrowed(pair)) ? "informed" : "undecided";
}

/** The kind of a number that the fit's report has, its class there and what a sentence says of it; null of others. */
function recorded(outcome, at) {
  return outcome.judged[at] ? asStanding(outcome.judged[at]) : null;
}

function asStanding(standing) {
  const [kind, says] = page.rule.standings[standing];
  return [kind, capital(standing), says];
}

/** A number with as many digits as the width of its interval bears: two of the width, whole ones for what is counted. */
function near(value, width, whole) {
  if (!Number.isFinite(value)) return "no number";
  if (whole && Math.abs(value) < 1e4) return Math.round(value).toLocaleString("en").replace("-", "−").replace(/^−0$/, "0");
  if (!(width > 0) || Math.abs(value) >= 1e6 || width < 1e-6) return told(value);
  const digits = Math.max(0, Math.min(9, 1 - Math.floor(Math.log10(width))));
  const tens = 10 ** Math.max(0, Math.floor(Math.log10(Math.min(width, Math.abs(value) || 1))) - 1);
  return (tens > 1 ? Math.round(value / tens) * tens : value).toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−").replace(/^−0$/, "0");
}

/** A Monte Carlo error beside its number, where it is not small beside the width of the interval: `error_words` of about.py. */
function saidError(error, width, outcome) {
  const size = error > page.rule.unseenError * width ? near(error, width, outcome.whole) : "0";
  return size === "0" ? "" : ` ± ${size}`;
}

/** A difference as people say it: `12 fewer firms`, `12 ± 2 fewer firms`, `0.3 MUSD less`, `no change`. */
function saidChange(value, width, outcome, error = 0) {
  const way = value > 0 ? "more" : outcome.whole ? "fewer" : "less", alone = near(Math.abs(value), width, outcome.whole);
  const size = `${alone}${saidError(error, width, outcome)}`;
  if (alone === "0") return value === 0 ? "no change" : outcome.whole ? `less than 1 ${way}` : "no change";
  if (outcome.whole) return `${size} ${way} ${withUnits(size, outcome.units).slice(size.length + 1)}`.trim();
  return `${withUnits(size, outcome.units)} ${way}`;
}

/** The ends of an interval of differences: the way once where both go it. */
function saidChanges(low, high, outcome) {
  const width = high - low, size = (value) => near(Math.abs(value), width, outcome.whole);
  const way = (value) => (value > 0 ? "more" : outcome.whole ? "fewer" : "less");
  const zero = (value) => size(value) === "0";
  if (zero(low) && zero(high)) return outcome.whole && (low || high) ? "less than 1 either way" : "no change";
  if (low < 0 && high > 0 && !zero(low) && !zero(high)) return `${size(low)} ${way(low)} to ${size(high)} ${way(high)}`;
  const [near_, far] = Math.abs(low) < Math.abs(high) ? [low, high] : [high, low];
  return `${size(near_)} to ${size(far)} ${way(far)}`;
}

/** Five quantiles in words: the middle, with the error of a change, and in brackets the ends of 90%. */
function saidLevels(levels, outcome, change, error = 0) {
  const width = levels[4] - levels[0];
  if (change) return [saidChange(levels[2], width, outcome, error), saidChanges(levels[0], levels[4], outcome)];
  const [middle, low, high] = [levels[2], levels[0], levels[4]].map((value) => near(value, width, outcome.whole));
  return [withUnits(middle, outcome.units), `${low} to ${high}`];
}

/** The numbers that were reported nearest in time on either side, in a sentence; nothing where there is none. */
function countedBeside(outcome, time) {
  const slack = 1e-9 * Math.max(1, Math.abs(time)), fitted = outcome.seen.filter((s) => s.use === "fit");
  const seen = fitted.length ? fitted : outcome.seen, at = (s) => Math.abs(s.time - time) <= slack;
  const nearest = (some) => some.reduce((found, s) => (found && Math.abs(found.time - time) < Math.abs(s.time - time) ? found : s), null);
  // what was reported for this very date comes before what was fitted for others, as in the report
  const here = nearest(seen.filter(at)) ?? nearest(outcome.seen.filter(at));
  const beside = here ? [here] : [nearest(seen.filter((s) => s.time < time)), nearest(seen.filter((s) => s.time > time))].filter(Boolean);
  if (!beside.length) return "";
  const words = (s) => (s.high === null ? `at least ${told(s.low)}` : s.high === s.low ? told(s.low) : `${told(s.low)} to ${told(s.high)}`);
  return `Reported: ${beside.map((s) => `${words(s)} ${whenCounted(s)}`).join(" and ")}.`;
}

/** A class as icon and words, in its colour. */
function badge(kind, words = page.rule.classes[kind].words) {
  const color = COLORS[kind], icon = shape("svg", { viewBox: "0 0 16 16", width: 15, height: 15, "aria-hidden": "true" });
  const dash = kind === "assumed" ? { "stroke-dasharray": "2.6 2.1" } : {};
  icon.append(shape("circle", { cx: 8, cy: 8, r: 6, fill: kind === "informed" ? color : "none", stroke: color, "stroke-width": 1.8, ...dash }));
  if (kind === "undecided") icon.append(shape("path", { d: "M8 2a6 6 0 0 1 0 12z", fill: color }));
  return make("span", { className: `cls ${kind}` }, icon, words);
}

/** Intervals one below the other on one axis: `rows` of {name, levels} or {name, ticks}, `seen` a number that was counted. */
function intervals(rows, color, { seen = null, zero = false }) {
  const width = 296, left = 104, right = 12, svg = shape("svg", { role: "img", class: "strip" });
  const [least, most] = range([...rows.flatMap((row) => (row.ticks ?? [row.levels[0], row.levels[4]])), ...(seen === null ? [] : [seen]), ...(zero ? [0] : [])]);
  const marks = ticks(least, most, 4), step = marks.length > 1 ? marks[1] - marks[0] : most - least || 1;
  const low = Math.min(least, Math.floor(least / step + 1e-9) * step), high = Math.max(most, Math.ceil(most / step - 1e-9) * step);
  const x = (value) => left + ((value - low) / (high - low || 1)) * (width - left - right), bottom = rows.length * 25 + 4;
  const text = (words, look) => shape("text", { "font-size": 13, fill: GREY, ...look }, words);
  svg.append(shape("line", { x1: left, x2: width - right, y1: bottom, y2: bottom, stroke: RULE }));
  for (const mark of ticks(low, high, 4)) {
    svg.append(shape("line", { x1: x(mark), x2: x(mark), y1: bottom, y2: bottom + 4, stroke: GREY }));
    svg.append(text(told(mark), { x: x(mark), y: bottom + 17, "text-anchor": "middle", "font-size": 12.5 }));
  }
  if (zero) svg.append(shape("line", { x1: x(0), x2: x(0), y1: 2, y2: bottom, stroke: INK }));
  rows.forEach((row, i) => {
    const y = 14 + 25 * i, own = i === 0;
    svg.append(text(row.name, { x: 0, y: y + 4.5, ...(own ? { fill: INK, "font-weight": 700 } : {}) }));
    if (row.ticks) return row.ticks.forEach((tick) => svg.append(shape("line", { x1: x(tick), x2: x(tick), y1: y - 6, y2: y + 6, stroke: INK, "stroke-width": 1.6 })));
    const look = own ? color : "#7d8896";
    svg.append(shape("line", { x1: x(row.levels[0]), x2: x(row.levels[4]), y1: y, y2: y, stroke: look, "stroke-width": own ? 6 : 4 }));
    svg.append(shape("circle", { cx: x(row.levels[2]), cy: y, r: 5, fill: "#fff", stroke: look, "stroke-width": 2.2 }));
    return own && seen !== null && svg.append(shape("circle", { cx: x(seen), cy: y, r: 4.6, fill: SEEN, stroke: "#fff", "stroke-width": 1.2 }));
  });
  svg.setAttribute("viewBox", `0 0 ${width} ${bottom + 22}`);
  return svg;
}

/** What a class says, with what the priors alone say. */
function sentenceOf(says, prior, outcome, change, after) {
  const [middle, ends] = saidLevels(prior, outcome, change);
  return `${after ? "After the last count. " : ""}${says}: the priors alone say ${middle} (${ends.replaceAll(" ", "\u00a0")}).`;
}
