"use strict";
// Reading needs none of this. It shows where a number comes from, and makes the list of runs sort, filter and draw.
// What takes long waits until it is wanted or the browser is idle: a ledger may have thousands of runs.
const once = (make) => { let made; return () => (made ??= make()); };
const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 1));
const data = once(() => JSON.parse(document.getElementById("page:data").textContent));
const runs = once(() => new Map(Object.entries(data().runs).flatMap(([cell, listed]) =>
  listed.map(([rest, digest, epochs, curve, facts]) => [cell + rest, { digest, epochs, curve, notebook: facts & 1, ci: facts & 2 }]))));
const names = once(() => [...runs().keys()]);

function make(tag, attributes = {}, ...content) {
  const space = ["svg", "path", "line", "text", "circle"].includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const element = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

// ---- Where a number comes from: on hover, on focus, on a tap; Escape or a tap elsewhere closes it.
const card = make("div", { id: "page:origin", popover: "manual", role: "dialog", "aria-labelledby": "page:origin-title", tabindex: "-1" });
document.body.append(card);
let shown = null, pinned = false, timer = 0;

function linkTo(path, text) { return make("a", { href: data().root + path }, text); }

function runItem(name) {
  const run = runs().get(name);
  if (!run) return make("li", {}, name);
  const item = make("li", {}, linkTo(`experiments/records/${name}.json`, name), ` (record ${run.digest})`);
  if (run.notebook) item.append(", ", linkTo(`experiments/executed/${name}.ipynb`, "executed notebook"));
  return item;
}

function told(anchor) { // [title, [label, content]…] of a number or of a run
  const own = anchor.closest("tr");
  if (anchor.matches(RUN)) {
    const name = anchor.textContent, heads = own.closest("table").tHead.rows[0].cells;
    const lines = [...own.cells].slice(1).map((cell, index) => [heads[index + 1].dataset.head || heads[index + 1].textContent, cell.textContent]);
    return [name, [...lines, ["Kind", runs().get(name)?.ci ? "run by CI" : "run here"], ["Record", make("ul", {}, runItem(name))], ["Again by", make("code", {}, `python build.py run --force ${name}`)]]];
  }
  const number = data().quantities[anchor.dataset.q], about = data().origins[number.origin];
  const lines = [...number.lines, ["Kind", about.kind]];
  if (about.from) lines.push(["From", about.from]);
  if (about.runs) {
    const list = make("ul", {}, ...about.runs.flatMap((run) => (Array.isArray(run) ? names().slice(run[0], run[0] + run[1]) : run)).map(runItem));
    if (about.of > list.children.length) list.append(make("li", {}, `and ${about.of - list.children.length} more, in provenance.json`));
    lines.push(["Records", list]);
  }
  if (about.command) lines.push(["Again by", make("code", {}, about.command)]);
  lines.push(["In this report", make("a", { href: "#" + about.anchor }, about.anchor.startsWith("cell:") ? "list of runs" : "table of origins")]);
  return [anchor.textContent, lines];
}

function place(anchor) {
  const box = anchor.getClientRects()[0] || anchor.getBoundingClientRect(), edge = 8;
  card.style.maxHeight = "";
  const below = innerHeight - box.bottom - 2 * edge, above = box.top - 2 * edge;
  if (card.offsetHeight > Math.max(below, above)) card.style.maxHeight = `${Math.max(below, above, 80)}px`; // the number stays in sight, unless the window is very low
  const width = card.offsetWidth, height = card.offsetHeight;
  const left = Math.max(edge, Math.min(box.left, document.documentElement.clientWidth - width - edge));
  card.style.left = `${left}px`;
  const top = height <= below || below >= above ? box.bottom + edge : box.top - height - edge;
  card.style.top = `${Math.max(edge, Math.min(top, innerHeight - height - edge))}px`;
}

function show(anchor, pin) {
  clearTimeout(timer);
  if (shown !== anchor) {
    hide();
    const [title, lines] = told(anchor), list = make("dl");
    for (const [label, content] of lines) list.append(make("dt", {}, label), make("dd", {}, content));
    const close = make("button", { type: "button", "aria-label": "Close" }, "×");
    close.addEventListener("click", () => hide(true));
    card.replaceChildren(make("h2", { id: "page:origin-title" }, title), close, list);
    card.showPopover();
    shown = anchor;
    anchor.setAttribute("aria-expanded", "true");
    place(anchor);
  }
  if (pin) { pinned = true; card.focus({ preventScroll: true }); }
}

function hide(back) {
  clearTimeout(timer);
  if (!shown) return;
  const anchor = shown;
  shown = null; pinned = false;
  anchor.setAttribute("aria-expanded", "false");
  card.hidePopover();
  if (back === true) { quiet = true; anchor.focus({ preventScroll: true }); quiet = false; }
}

let quiet = false; // while focus returns to a number whose pop-up was just closed
const RUN = "[data-runs] tbody th a", TOLD = `a.q, ${RUN}`;
function announce(anchor) {
  anchor.setAttribute("role", "button");
  anchor.setAttribute("aria-haspopup", "dialog");
  anchor.setAttribute("aria-expanded", "false");
}
document.querySelectorAll("a.q").forEach(announce);
const later = (action) => { clearTimeout(timer); timer = setTimeout(action, 180); };
document.addEventListener("pointerover", (event) => {
  if (event.pointerType !== "mouse" || pinned) return;
  const anchor = event.target.closest(TOLD);
  if (anchor) later(() => show(anchor, false));
  else if (event.target.closest("#page\\:origin")) clearTimeout(timer);
  else if (shown && document.activeElement !== shown) later(hide);
});
document.addEventListener("focusin", (event) => {
  const anchor = event.target.closest(TOLD);
  if (anchor && !quiet && anchor.matches(":focus-visible")) show(anchor, false);
  else if (shown && event.target !== shown && !card.contains(event.target)) hide();
});
document.addEventListener("click", (event) => {
  const anchor = event.target.closest(TOLD);
  if (anchor && !(event.ctrlKey || event.metaKey || event.shiftKey)) { event.preventDefault(); show(anchor, true); }
  else if (shown && (!card.contains(event.target) || event.target.closest("#page\\:origin a[href^='#']"))) hide();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shown) { event.preventDefault(); hide(true); }
  if (event.key === " " && event.target.matches(TOLD)) { event.preventDefault(); show(event.target, true); }
  if (event.key === "Tab" && shown && card.contains(event.target)) { // past either end one is back at the number, not at the page's end
    const stops = [...card.querySelectorAll("button, a[href]")], end = event.shiftKey ? stops[0] : stops[stops.length - 1];
    if (event.target === end || (event.shiftKey && event.target === card)) { event.preventDefault(); hide(true); }
  }
});
addEventListener("scroll", () => { if (shown && !card.contains(document.activeElement)) hide(); }, { passive: true });

// ---- The list of runs.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#9a7d00", "#56b4e9", "#e69f00", "#7f7f7f"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];

const COLLATOR = new Intl.Collator("en", { numeric: true });
const CHUNK = 200; // rows that get their boxes at one go

function enliven(table) { // filter, order and curves of a list of runs
  const rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[0].cells], frame = table.closest(".scroll");
  const states = rows.map((row) => row.cells[1].textContent.split(/[:,]/)[0]), texts = once(() => rows.map((row) => row.textContent.toLowerCase()));
  const search = make("input", { type: "search", size: "22" }), state = make("select"), count = make("output");
  for (const word of ["any", ...new Set(states)]) state.append(make("option", {}, word));
  const clear = make("button", { type: "button" }, "Clear curves");
  const curves = make("div", { class: "curves", role: "group", "aria-label": "Learning curves", id: `${table.closest("figure").id}:curves` });
  const told = make("p", { class: "drawn", role: "status" }); // at the foot of the window: the curves may be out of sight
  frame.before(make("div", { class: "runs" }, make("label", {}, "Filter", search), make("label", {}, "State", state), clear, count), curves);
  frame.after(told);

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    rows.forEach((row, index) => {
      const fits = (state.value === "any" || states[index] === state.value) && words.every((word) => texts()[index].includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      left += fits;
    });
    count.textContent = `${left.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs`;
  }
  search.addEventListener("input", filter);
  state.addEventListener("change", filter);
  filter();

  heads.forEach((head, column) => {
    const label = [...head.childNodes], button = make("button", { type: "button" }, ...label);
    head.dataset.head = button.textContent; // told in the pop-up, and printed where a button would be
    head.append(button);
    const keys = once(() => new Map(rows.map((row) => {
      const text = row.cells[column].textContent.trim();
      return [row, [/^[\d.,]+/.test(text) ? parseFloat(text.replace(/,/g, "")) : NaN, text]];
    })));
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort"), sign = was === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (was === "descending") { table.tBodies[0].append(...rows); return; } // the plan's order again
      head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
      table.tBodies[0].append(...[...rows].sort((one, two) => {
        const [[x, a], [y, b]] = [keys().get(one), keys().get(two)];
        if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1; // what has no number stays last
        return sign * (isNaN(x) ? COLLATOR.compare(a, b) : x - y);
      }));
    });
  });

  const chosen = new Map();
  function redraw() {
    draw(curves, chosen);
    const size = chosen.size, words = `${size} learning curve${size > 1 ? "s" : ""} drawn above the list`;
    told.replaceChildren(...(size ? [make("a", { href: `#${curves.id}` }, words)] : []));
  }
  table.addEventListener("change", ({ target }) => {
    const name = target.value;
    target.checked ? chosen.set(name, runs().get(name)) : chosen.delete(name);
    redraw();
  });
  clear.addEventListener("click", () => {
    for (const box of table.querySelectorAll("input:checked")) box.checked = false;
    chosen.clear();
    redraw();
  });
  redraw();

  (function equip(from) {
    for (const row of rows.slice(from, from + CHUNK)) {
      const link = row.cells[0].querySelector("a");
      if (!link) continue;
      announce(link);
      const name = link.textContent;
      if (runs().get(name)?.curve.length > 1) row.cells[0].prepend(make("input", { type: "checkbox", value: name, "aria-label": `Draw the learning curve of ${name}` }));
    }
    if (from + CHUNK < rows.length) idle(() => equip(from + CHUNK));
  })(0);
}

for (const table of document.querySelectorAll("table[data-runs]")) {
  const begin = once(() => { nearing.disconnect(); enliven(table); return true; });
  const nearing = new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) begin(); }, { rootMargin: "100%" });
  nearing.observe(table.closest("figure"));
  idle(begin);
}

function draw(place, chosen) { // test accuracy by epoch
  if (!chosen.size) { place.replaceChildren(make("p", { class: "note" }, "Tick runs in the list to draw their learning curves here.")); return; }
  const drawn = [...chosen], values = drawn.flatMap(([, run]) => run.curve.filter((value) => value !== null));
  const epochs = Math.max(...drawn.map(([, run]) => run.epochs)), low = Math.floor(Math.min(...values) / 500) * 5, high = Math.min(100, Math.ceil(Math.max(...values) / 500) * 5);
  const width = Math.min(640, Math.max(300, place.clientWidth)), height = 300, x = (epoch) => 46 + (epoch - 1) * (width - 62) / Math.max(1, epochs - 1), y = (percent) => height - 38 - (percent - low) * (height - 56) / Math.max(5, high - low);
  const step = [5, 10, 20].find((size) => (high - low) / size <= 6) || 20;
  const names = drawn.map(([name]) => name).join(", ");
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Test accuracy by epoch of ${names}` });
  for (let percent = Math.ceil(low / step) * step; percent <= high; percent += step)
    svg.append(make("line", { class: "grid", x1: 46, x2: width - 16, y1: y(percent), y2: y(percent) }), make("text", { x: 40, y: y(percent) + 4, "text-anchor": "end" }, percent));
  const every = Math.max(1, Math.ceil(epochs * 80 / width));
  for (let epoch = 1; epoch <= epochs; epoch += every) svg.append(make("text", { x: x(epoch), y: height - 20, "text-anchor": "middle" }, epoch));
  svg.append(make("text", { x: width / 2, y: height - 3, "text-anchor": "middle" }, "Epoch"), make("text", { x: 46, y: 11 }, "Test accuracy (%)"));
  const list = make("ul");
  drawn.forEach(([name, run], index) => {
    const look = { stroke: COLOURS[index % COLOURS.length], "stroke-dasharray": DASHES[Math.floor(index / COLOURS.length) % DASHES.length], "stroke-width": 2, fill: "none" };
    const points = run.curve.length, at = (i) => 1 + (points === run.epochs ? i : Math.floor(i * (run.epochs - 1) / (points - 1)));
    let path = "";
    run.curve.forEach((value, i) => { if (value !== null) path += `${path ? "L" : "M"}${x(at(i)).toFixed(1)} ${y(value / 100).toFixed(1)}`; });
    svg.append(make("path", { d: path, ...look }));
    const last = run.curve[points - 1];
    list.append(make("li", {}, make("svg", { viewBox: "0 0 32 8", "aria-hidden": "true" }, make("path", { d: "M0 4H32", ...look })), `${name}${last === null ? "" : `: ${(last / 100).toFixed(2)}\u00a0%`}`));
  });
  place.replaceChildren(svg, list);
}

// ---- A table or figure that fits needs no stop of the keyboard to be scrolled from, and a table's head can stay in sight.
const fitting = new ResizeObserver((entries) => entries.forEach(({ target: frame }) => {
  const fits = frame.scrollWidth <= frame.clientWidth;
  frame.classList.toggle("fits", fits);
  fits ? frame.removeAttribute("tabindex") : frame.setAttribute("tabindex", "0");
}));
document.querySelectorAll(".scroll").forEach((frame) => fitting.observe(frame));

// ---- Contents: folded on a narrow screen, the section that is read is marked.
const contents = document.querySelector("nav details");
if (matchMedia("(max-width: 56rem)").matches) contents.open = false;
const links = new Map([...contents.querySelectorAll("a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
const headings = [...document.querySelectorAll("main h2[id], main h3[id]")].filter((heading) => links.has(heading.id));
function mark() {
  const current = headings.filter((heading) => heading.getBoundingClientRect().top < 120).pop();
  links.forEach((link, id) => (current && id === current.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
}
let waits = false;
addEventListener("scroll", () => { if (!waits) { waits = true; requestAnimationFrame(() => { waits = false; mark(); }); } }, { passive: true });
