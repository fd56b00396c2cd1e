"use strict";
/* A model that `cipark convert my.mdl -o my.wasm` has written, and how it is run: in a browser, or in node with
   require("./kernel.js"). docs/reference/webassembly.md describes the memory that is laid out here. Nothing else is needed. */

/** A run that the module cannot make; the message is for people. */
class KernelError extends Error {}

class Kernel {
  /** The model in the bytes of a .wasm file, or in what was compiled of them; nothing runs yet. */
  static async of(bytes) {
    const module = bytes instanceof WebAssembly.Module ? bytes : await WebAssembly.compile(bytes);
    const [section] = WebAssembly.Module.customSections(module, "cipark_sd");
    if (!section) throw new KernelError("this WebAssembly file carries no model of cipark_sd");
    const about = JSON.parse(new TextDecoder().decode(section));
    if (about.format !== "cipark_sd wasm 1") throw new KernelError(`the format ${about.format} is not known here`);
    const made = new Kernel(await WebAssembly.instantiate(module, {}), about);
    made.module = module;
    if (about.timetable) {
      const [table] = WebAssembly.Module.customSections(module, "cipark_sd timetable"), { instants } = about.time;
      const outputs = Array.from({ length: about.timetable.outputs }, (_, i) => ({ name: `table ${i}` }));
      const time = { ...about.time, saved: instants.map((_, i) => i) };
      const own = { method: "euler", watched: [], pipes: [], outputs, time, timetable: undefined };
      const { instance } = await WebAssembly.instantiate(table, {});
      made.#timetable = new Kernel(instance, { ...about, ...about.timetable, ...own });
    }
    return made;
  }

  constructor(instance, about) {
    this.exports = instance.exports;
    this.about = about;
    this.times = about.time.saved.map((step) => about.time.instants[step * this.#stagesAStep]);
    this.places = new Map(about.constants.map((constant, place) => [constant.name, place]));
    this.defaults = about.constants.map((constant) => number(constant.value));
    this.#outputs = about.outputs.length + about.watched.reduce((n, w) => n + (w.time === null ? 1 : 2), 0);
  }

  /* Gives what hangs on time and on constants that all runs share, as series after the model's own. */
  #timetable = null;
  #outputs;
  #laid = { runs: 0 };

  get #stagesAStep() {
    return this.about.method === "euler" ? 1 : 2;
  }

  get #steps() {
    return (this.about.time.instants.length - 1) / this.#stagesAStep;
  }

  /** Where everything lies for so many runs, written but for the constants; kept until another number is asked for. */
  #layOut(runs) {
    if (this.#laid.runs === runs) return this.#laid;
    const { about } = this, lanes = about.lanes, blocks = Math.ceil(runs / lanes), steps = this.#steps;
    const series = about.series.length + (about.timetable?.outputs ?? 0), instants = about.time.instants.length;
    let end = about.free;
    const room = (bytes) => {
      const at = end;
      end += Math.ceil(bytes / 16) * 16;
      return at;
    };
    const at = { params: room(8 * blocks * lanes * about.constants.length) };
    at.times = room(8 * about.time.instants.length);
    at.saved = room(steps + 1);
    at.values = Array.from({ length: series }, () => room(8 * lanes * instants));
    at.series = room(8 * (series + 1));
    at.strides = room(8 * (series + 1));
    at.uniforms = room(8 * 4);
    at.capacities = room(8 * (2 * about.pipes.length + 1));
    at.runs = room(8 * blocks * lanes);
    at.workspace = room(8 * lanes * (about.workspace + 1));
    at.pipes = room(8 * lanes * (about.pipes.length * (steps + 1) + 1));
    at.out = room(8 * lanes * blocks * about.time.saved.length * this.#outputs);
    const { memory } = this.exports;
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    const view = new DataView(memory.buffer);
    const doubles = (place, values) => values.forEach((v, i) => view.setFloat64(place + 8 * i, v, true));
    const integers = (place, values) => values.forEach((v, i) => view.setBigInt64(place + 8 * i, BigInt(v), true));
    doubles(at.times, about.time.instants);
    new Uint8Array(memory.buffer, at.saved, steps + 1).fill(0);
    for (const step of about.time.saved) view.setUint8(at.saved + step, 1);
    about.series.forEach((values, i) =>
      doubles(at.values[i], values.flatMap((value) => Array(lanes).fill(number(value)))));
    integers(at.series, [...at.values, 0]);
    // every run has the same series
    integers(at.strides, Array(series + 1).fill(0));
    const { step, initial, final, saveper } = about.time;
    doubles(at.uniforms, [step, initial, final, saveper]);
    integers(at.capacities, [...about.pipes.flatMap((_, i) => [steps + 1, i * (steps + 1) * lanes]), 0]);
    this.#laid = { runs, blocks, at };
    return this.#laid;
  }

  /**
   * So many runs together.
   *
   * `values` gives constants by name (see `about.constants`): a number for all runs, or an array with one for each. All
   * others keep what the model was written with. `numbers` are those by which random functions know the runs; `last` is
   * the position of the saved time after which nothing is computed.
   *
   * The answer is a Float64Array: output by output, in each time by time, in each run by run; a missing value is NaN.
   */
  run(values = {}, runs = 1, options = {}) {
    return this.#numbers(values, runs, options).map(orMissing);
  }

  /** As `run`, with missing values as the model has them. */
  #numbers(values, runs, { seed = 0n, numbers = null, last = this.times.length - 1 } = {}) {
    const { about } = this, lanes = about.lanes, constants = about.constants.length;
    const { blocks, at } = this.#layOut(runs);
    const { memory } = this.exports;
    const columns = this.defaults.slice();
    for (const [name, value] of Object.entries(values)) {
      const place = this.places.get(name);
      if (place === undefined) throw new KernelError(`the model has no constant ${name}`);
      columns[place] = value;
    }
    const params = new Float64Array(memory.buffer, at.params, blocks * constants * lanes);
    const known = new BigUint64Array(memory.buffer, at.runs, blocks * lanes);
    for (let run = 0; run < blocks * lanes; run++) {
      // the last run fills up the last block
      const own = Math.min(run, runs - 1), base = Math.floor(run / lanes) * constants * lanes + (run % lanes);
      for (let c = 0; c < constants; c++) {
        const column = columns[c];
        params[base + c * lanes] = typeof column === "number" ? column : column[own];
      }
      known[run] = BigInt(numbers ? numbers[own] : own);
    }
    const saved = last + 1, steps = last === this.times.length - 1 ? this.#steps : about.time.saved[last];
    if (this.#timetable) this.#tabulate(values, steps * this.#stagesAStep, at);
    this.exports.run(
      BigInt(blocks), at.params, at.workspace, at.out, at.times, at.saved, BigInt(steps), BigInt(saved),
      at.series, at.strides, at.uniforms, at.pipes, at.capacities, BigInt.asIntN(64, BigInt(seed)), at.runs,
    );
    const out = new Float64Array(memory.buffer, at.out, blocks * saved * this.#outputs * lanes);
    const result = new Float64Array(this.#outputs * saved * runs);
    for (let run = 0; run < runs; run++) {
      const base = Math.floor(run / lanes) * saved * this.#outputs * lanes + (run % lanes);
      for (let t = 0; t < saved; t++)
        for (let o = 0; o < this.#outputs; o++)
          result[(o * saved + t) * runs + run] = out[base + (t * this.#outputs + o) * lanes];
    }
    this.#checkStages(result, saved, runs);
    return result.subarray(0, about.outputs.length * saved * runs);
  }

  /** Write the timetable up to an instant. */
  #tabulate(values, last, at) {
    const { about } = this, { shared } = about.timetable;
    const varies = shared.find((name) => typeof (values[name] ?? 0) !== "number");
    if (varies) throw new KernelError(`all runs of a call share ${varies}: it takes one number`);
    const given = Object.fromEntries(shared.filter((name) => name in values).map((name) => [name, values[name]]));
    const table = this.#timetable.#numbers(given, 1, { last }), rows = last + 1;
    for (let output = 0; output < about.timetable.outputs; output++) {
      const place = at.values[about.series.length + output];
      const series = new Float64Array(this.exports.memory.buffer, place, rows * about.lanes);
      for (let row = 0; row < rows; row++)
        series.fill(table[output * rows + row], row * about.lanes, (row + 1) * about.lanes);
    }
  }

  /** Raise where a run would need another number of stages in a delay than the module has. */
  #checkStages(result, saved, runs) {
    for (const { label, stages, order, time } of this.about.watched)
      for (let run = 0; run < runs; run++) {
        let needed = Math.floor(result[order * saved * runs + run]);
        const length = time === null ? Infinity : result[time * saved * runs + run];
        while (needed > 1 && needed * this.about.time.step > length) needed--;
        if (needed !== stages)
          throw new KernelError(`these values give ${label} ${needed} stages; this file was made with ${stages}`);
      }
  }
}

/** A number as people see it: Vensim's :NA: is none. */
function orMissing(value) {
  return value === -(2 ** 109) ? NaN : value;
}

/** A number of the description: JSON has none that is infinite or none at all. */
function number(value) {
  return value === null ? NaN : Number(value);
}

if (typeof module === "object") module.exports = { Kernel, KernelError };
