/* What each lever that was moved contributes to the difference. */

/** The runs' values of the outcome on show at the time that is read. */
function readAt(levers) {
  const outcome = page.outcomes[state.outcome], structure = page.structures[state.structure], { runs } = structure;
  const curves = curvesOf(runsOf(levers, state.structure, shownUntil()), outcome, structure);
  return curves.slice(state.at * runs, state.at * runs + (runs > 1 ? runs - 1 : 1));
}

/** The mean over the draws of a difference, each draw with itself; draws without a number in either are left out. */
function meanDifference(some, others) {
  let sum = 0, n = 0;
  some.forEach((value, run) => {
    const difference = value - others[run];
    if (Number.isFinite(difference)) { sum += difference; n += 1; }
  });
  return sum / n;
}

/**
 * By lever: `alone`, what moving it and nothing else does; `last`, what moving it does when all others are moved already.
 * `rest` is the difference less the sum of all `alone`: their interaction.
 */
function sharesOf(levers) {
  const base = readAt({}), all = readAt(levers), total = meanDifference(all, base);
  const bars = page.levers.filter((lever) => lever.id in levers).map((lever) => {
    const { [lever.id]: value, ...others } = levers;
    return { lever, alone: meanDifference(readAt({ [lever.id]: value }), base), last: meanDifference(all, readAt(others)) };
  });
  return { total, bars, rest: total - bars.reduce((sum, { alone }) => sum + alone, 0) };
}

/** The levers of all runs that the shares are read from. */
function sharedRuns(levers) {
  return [levers, ...Object.keys(levers).flatMap((id) => {
    const { [id]: value, ...others } = levers;
    return [{ [id]: value }, others];
  })];
}

/** A bar from the middle to the right for more, to the left for less. */
function bar(value, largest, color) {
  const width = 200, half = width / 2, length = largest ? (Math.abs(value) / largest) * (half - 2) : 0;
  const svg = shape("svg", { viewBox: `0 0 ${width} 14`, "aria-hidden": "true", class: "bar" });
  svg.append(shape("rect", { x: value < 0 ? half - length : half, y: 2, width: Number.isFinite(length) ? length : 0, height: 10, fill: color }));
  svg.append(shape("line", { x1: half, x2: half, y1: 0, y2: 14, stroke: GREY }));
  return svg;
}

function showShares() {
  $("sharesection").hidden = !moved();
  if (!moved()) return;
  const outcome = page.outcomes[state.outcome], fan = page.structures[state.structure].runs > 1;
  let shares;
  try {
    shares = sharesOf(state.levers);
  } catch (problem) {
    if (!(problem instanceof KernelError)) throw problem;
    $("sharetext").textContent = `No shares for these values: ${problem.message}.`;
    $("shares").tBodies[0].replaceChildren();
    return;
  }
  const { total, bars, rest } = shares, several = bars.length > 1;
  const largest = Math.max(...[total, rest, ...bars.flatMap(({ alone, last }) => [alone, last])].map(Math.abs).filter(Number.isFinite));
  $("sharetext").textContent = `${outcome.title}, ${whenLabel(state.at)}: all levers together change it by ${withUnits(change(total), outcome.units)}` +
    `${fan ? " (the mean over the draws; the answer above has the median)" : ""}. ` +
    "Alone: this lever only. Last: this lever after all others." + (several ? " Interaction: the rest." : "");
  const cell = (value, color) => make("td", {}, bar(value, largest, color), change(value));
  const row = (name, ...cells) => make("tr", {}, make("th", { scope: "row" }, name), ...cells);
  const rows = bars.map(({ lever, alone, last }) => row(lever.title, cell(alone, BLUE), cell(last, "#7aa7cc")));
  if (several) rows.push(row("interaction", cell(rest, "#8f2d73"), make("td", {}, "—")));
  rows.push(row("All", cell(total, INK), make("td", {}, "—")));
  $("shares").tBodies[0].replaceChildren(...rows);
}
