/* The page in a cell of a notebook: what is moved in it goes to Python, what Python sets goes to it. */

export default {
  render({ model, el }) {
    const frame = document.createElement("iframe");
    frame.title = model.get("title");
    frame.style.cssText = model.get("style");
    frame.srcdoc = model.get("page");
    frame.addEventListener("levers", ({ detail }) => {
      model.set("levers", detail);
      model.save_changes();
    });
    const set = () => frame.dispatchEvent(new CustomEvent("set", { detail: model.get("levers") }));
    frame.addEventListener("ready", set);
    model.on("change:levers", set);
    el.append(frame);
    return () => model.off("change:levers", set);
  },
};
