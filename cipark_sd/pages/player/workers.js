/* Runs of a fan, split over threads. No run knows which others are made beside it, so that the bits are the same whatever
   their number. A browser that refuses workers leaves all runs to the page itself. */

/** What a worker does: it takes the model, and then makes runs. This is the end of its script. */
function serveRuns() {
  let model;
  self.onmessage = async ({ data: { id, module, values, runs, options } }) => {
    try {
      if (module) model = await Kernel.of(module);
      self.postMessage({ id, found: module ? null : model.run(values, runs, options) });
    } catch (problem) {
      self.postMessage({ id, problem: problem.message, ofKernel: problem instanceof KernelError });
    }
  };
}

class Workers {
  #every;
  #lanes;
  #asked = new Map();
  #count = 0;

  /** So many workers that have taken a model; rejects where the browser refuses them. */
  static async of(model, count) {
    const script = [KernelError, Kernel, orMissing, number, serveRuns].join("\n");
    const url = URL.createObjectURL(new Blob([`"use strict";\n${script}\nserveRuns();`], { type: "text/javascript" }));
    const made = new Workers();
    made.#lanes = model.about.lanes;
    made.#every = Array.from({ length: count }, () => new Worker(url));
    for (const worker of made.#every) {
      worker.onmessage = ({ data }) => made.#hear(data);
      worker.onerror = ({ message }) => made.#asked.forEach(({ failed }) => failed(new Error(message || "a worker has stopped")));
    }
    await Promise.all(made.#every.map((worker) => made.#ask(worker, { module: model.module })));
    URL.revokeObjectURL(url);
    return made;
  }

  get count() {
    return this.#every.length;
  }

  /** The same as `run` of the model, in parts. */
  async run(values, runs, last) {
    const share = Math.ceil(runs / this.count / this.#lanes) * this.#lanes, starts = [];
    for (let start = 0; start < runs; start += share) starts.push(start);
    const parts = await Promise.all(starts.map((start, i) => {
      const end = Math.min(start + share, runs), own = {};
      for (const [name, value] of Object.entries(values)) own[name] = typeof value === "number" ? value : value.slice(start, end);
      const numbers = Array.from({ length: end - start }, (_, run) => start + run);
      return this.#ask(this.#every[i], { values: own, runs: end - start, options: { last, numbers } });
    }));
    const rows = parts[0].length / Math.min(share, runs), whole = new Float64Array(rows * runs);
    parts.forEach((part, i) => {
      const width = part.length / rows;
      for (let row = 0; row < rows; row++) whole.set(part.subarray(row * width, (row + 1) * width), row * runs + starts[i]);
    });
    return whole;
  }

  #ask(worker, message) {
    return new Promise((done, failed) => {
      const id = this.#count++;
      this.#asked.set(id, { done, failed });
      worker.postMessage({ id, ...message });
    });
  }

  #hear({ id, found, problem, ofKernel }) {
    const { done, failed } = this.#asked.get(id);
    this.#asked.delete(id);
    if (problem === undefined) done(found);
    else failed(ofKernel ? new KernelError(problem) : new Error(problem));
  }
}
