/* What was counted by each time, of curves whose counts come later: `waiting.py` says how, and does the same. */

/** `curves` time by time, in each run by run; `beside` the numbers of the noise by name, one for each run. */
function counted(times, curves, runs, waiting, beside) {
  const result = curves.slice();
  const of = (value, run) => (typeof value === "string" ? beside[value][run] : value);
  for (let run = 0; run < runs; run++) {
    const share = of(waiting.share, run), rate = of(waiting.rate, run);
    for (let step = 1, waits = 0; step * runs < curves.length; step++) {
      let start = Math.max(times[step - 1], waiting.begin);
      const end = times[step], here = step * runs + run;
      if (end <= waiting.begin) continue;
      const rise = (curves[here] - curves[here - runs]) / (times[step] - times[step - 1]);
      for (const event of [...waiting.events.filter((one) => start < one && one <= end), null]) {
        const stop = event ?? end, x = rate * (stop - start);
        waits = waits * Math.exp(-x) + rise * (stop - start) * (x > 0 ? -Math.expm1(-x) / x : 1);
        if (event !== null) {
          waits *= 1 - share;
          start = event;
        }
      }
      result[here] = curves[here] - waits;
    }
  }
  return result;
}

/** After the `last` count each draw goes on from it: `lacks` says by how much it lies above the draw's own base run there. */
function goOn(times, curves, runs, last, lacks) {
  for (let i = 0; i < curves.length; i++) if (times[Math.floor(i / runs)] > last + 1e-6) curves[i] += lacks[i % runs];
}
