/* Quantiles, and numbers as people write them. */

const LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95];

/** Quantiles of sorted numbers, between which lines are drawn (type 7 of Hyndman and Fan 1996). */
function quantile(sorted, level) {
  if (!sorted.length) return NaN;
  const place = (sorted.length - 1) * level, below = Math.floor(place);
  const next = sorted[Math.min(below + 1, sorted.length - 1)];
  return sorted[below] + (place - below) * (next - sorted[below]);
}

/** The middle and two bands of some runs; runs without a number are left out and counted. */
function summary(values) {
  let sorted = new Float64Array(values).sort();
  // what is no number stands at the end, infinities at both
  if (!Number.isFinite(sorted[0]) || !Number.isFinite(sorted.at(-1))) sorted = sorted.filter(Number.isFinite);
  return { levels: LEVELS.map((level) => quantile(sorted, level)), lost: values.length - sorted.length };
}

/** The Monte Carlo error of the median of draws that are worth so many independent ones, as `summary` of effects.py has it. */
function medianError(values, worth) {
  const sorted = new Float64Array(values).filter(Number.isFinite).sort(), apart = Math.min(0.5, 0.5 / Math.sqrt(Math.min(sorted.length, worth)));
  return (quantile(sorted, 0.5 + apart) - quantile(sorted, 0.5 - apart)) / 2;
}

/** A number in at most four digits that matter; no exponents but for what is beyond words. */
function told(value) {
  if (!Number.isFinite(value)) return "no number";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e15 || size < 1e-6) return value.toPrecision(3).replace("-", "−");
  if (size >= 1e6)
    return value.toLocaleString("en", { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 4 }).replace("-", "−");
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : Math.min(9, 2 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−");
}

/** A difference with its sign. */
function change(value) {
  const text = told(value);
  return value > 0 && text !== "0" ? `+${text}` : text;
}

/** Round steps between two ends, about so many. */
function ticks(low, high, about) {
  if (!(high > low)) return [low];
  const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough * (1 - 1e-9));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** As many digits after the point as a step has. */
function atStep(value, step) {
  const digits = Math.max(0, Math.min(12, Math.ceil(-Math.log10(step) - 1e-9)));
  return Number(value.toFixed(digits));
}
