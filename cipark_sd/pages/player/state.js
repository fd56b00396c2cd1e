/* What a reader has set: in the address, as a command, as a scenario file. */

/** The address after `#`. */
function written(state, page) {
  const fields = new URLSearchParams();
  fields.set("show", page.outcomes[state.outcome].id);
  fields.set("at", String(state.at));
  if (state.structure) fields.set("structure", String(state.structure));
  if (state.whole) fields.set("whole", "1");
  if (state.why) fields.set("why", state.why);
  for (const [id, value] of Object.entries(state.levers)) fields.append("set", `${id}=${value}`);
  for (const pin of state.pins) fields.append("pin", JSON.stringify(pin));
  return fields.toString();
}

/** What an address says, into a state; what it says wrong is returned in words, and left as it is. */
function read(text, state, page) {
  const fields = new URLSearchParams(text), wrong = [];
  const place = page.outcomes.findIndex((outcome) => outcome.id === fields.get("show"));
  if (place >= 0) state.outcome = place;
  else if (fields.has("show")) wrong.push(`there is no output ${fields.get("show")}`);
  const whole = (value, most) => (/^\d+$/.test(value) && Number(value) <= most ? Number(value) : null);
  if (fields.has("at")) {
    const at = whole(fields.get("at"), page.last);
    if (at === null) wrong.push(`there is no time ${fields.get("at")}`);
    else state.at = at;
  }
  if (fields.has("structure")) {
    const structure = whole(fields.get("structure"), page.structures.length - 1);
    if (structure === null) wrong.push(`there is no structure ${fields.get("structure")}`);
    else state.structure = structure;
  }
  state.whole = fields.get("whole") === "1";
  state.why = "";
  if (fields.has("why")) {
    if (page.trace.variables.some(({ name }) => name === fields.get("why"))) state.why = fields.get("why");
    else wrong.push(`there is no variable ${fields.get("why")}`);
  }
  state.levers = {};
  for (const entry of fields.getAll("set")) {
    const equals = entry.lastIndexOf("=");
    set(entry.slice(0, equals), entry.slice(equals + 1), state.levers);
  }
  state.pins = [];
  for (const entry of fields.getAll("pin").slice(0, PINS.length)) {
    try {
      const { name, structure, levers } = JSON.parse(entry), pin = { name: String(name), structure: 0, levers: {} };
      pin.structure = whole(String(structure), page.structures.length - 1) ?? 0;
      for (const [id, value] of Object.entries(levers)) set(id, value, pin.levers);
      state.pins.push(pin);
    } catch {
      wrong.push("a pinned scenario cannot be read");
    }
  }
  return wrong;

  function set(id, value, into) {
    const lever = page.levers.find((one) => one.id === id), problem = lever ? misfit(lever, value) : `there is no lever ${id}`;
    if (problem) wrong.push(problem);
    else into[id] = Number(value);
  }
}

/** Why a value cannot be that of a lever, in words; nothing where it can. */
function misfit(lever, value) {
  const number = String(value).trim() === "" ? NaN : Number(value);
  if (!Number.isFinite(number)) return `${lever.title}: ${value === "" ? "what is written" : `“${value}”`} is no number`;
  if (number < lever.low || number > lever.high)
    return `${lever.title}: ${number} lies outside ${lever.low} to ${lever.high}`;
  return "";
}

/** A text that a shell takes as it stands, whatever is in it. */
function quoted(text) {
  return `'${String(text).replaceAll("'", "'\\''")}'`;
}

/** The values that one run at the estimate has, by the names that commands and files take. */
function assignments(state, page, estimate) {
  const values = { ...(page.held.set ?? {}), ...(page.structures[state.structure].scenario.set ?? {}), ...estimate };
  const moved = page.levers.filter((lever) => lever.id in state.levers);
  for (const lever of moved) for (const name of [...lever.names, ...lever.keys]) delete values[name];
  const spelt = Object.fromEntries(Object.entries(values).map(([name, value]) => [page.spelling.get(name) ?? name, value]));
  for (const lever of moved) for (const name of lever.set) spelt[name] = state.levers[lever.id];
  return spelt;
}

/** The command that makes one run at the estimate. */
function command(state, page, estimate, time) {
  const parts = ["cipark run", quoted(page.target)];
  for (const [name, value] of Object.entries(assignments(state, page, estimate)))
    parts.push("--set", quoted(`${name}=${Array.isArray(value) ? value.join(",") : value}`));
  const outcome = page.outcomes[state.outcome];
  parts.push("--at", String(time), "--variables", quoted([outcome.variable, outcome.over].filter(Boolean).join(",")));
  return parts.join(" ");
}

/** The same as a scenario file. */
function scenarioFile(state, page, estimate, title) {
  const lines = Object.entries(assignments(state, page, estimate)).map(
    ([name, value]) => `${tomlText(name)} = ${Array.isArray(value) ? `[${value.map(tomlNumber).join(", ")}]` : tomlNumber(value)}`);
  return `name = ${tomlText(title)}\n\n[set]\n${lines.join("\n")}\n`;
}

/** JSON's escapes are TOML's, but for one letter that TOML does not take as it stands. */
function tomlText(text) {
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}

function tomlNumber(value) {
  const text = String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
