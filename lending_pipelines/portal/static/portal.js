/* The portal's own script: colours, navigation, dialogs, palette, shortcuts, rows, messages, charts.

   Pages work without it but for charts (their tables stay), dialogs and the palette. Nothing here is evaluated from text,
   so the content policy needs no exception. htmx loads parts of pages; `sse-connect` on an element follows a run. */

"use strict";

const script = document.getElementById("portal-script");
const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const root = document.documentElement;

/* Colours: as the system, light, dark. The cookie lets the server draw the next page in them. */

const THEMES = ["system", "light", "dark"];
const theme = () => root.dataset.theme ?? "system";

function setTheme(name) {
  if (name === "system") delete root.dataset.theme;
  else root.dataset.theme = name;
  const path = new URL(script.dataset.root, location.href).pathname;
  document.cookie = `theme=${name}; path=${path}; max-age=31536000; samesite=lax`;
  nameTheme();
  redrawCharts();
}

function nameTheme() {
  const names = { system: "as the system", light: "light", dark: "dark" };
  for (const button of all("[data-theme-switch]")) {
    button.title = `Colours: ${names[theme()]}`;
    button.setAttribute("aria-label", button.title);
  }
}

/* Navigation on a phone */

function openSide(open) {
  const side = find("#side");
  const toggle = find("[data-side='toggle']");
  side.classList.toggle("open", open);
  toggle.setAttribute("aria-expanded", String(open));
  if (open) find("a", side).focus();
  else if (side.contains(document.activeElement)) toggle.focus();
}

/* Messages */

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${script.dataset.icons}#${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

function toast(text, tone = "good") {
  const box = document.createElement("div");
  const words = document.createElement("p");
  const dismiss = document.createElement("button");
  box.className = `toast ${tone}`;
  words.textContent = text;
  Object.assign(dismiss, { className: "button button-quiet button-icon", type: "button" });
  dismiss.setAttribute("aria-label", "Dismiss");
  dismiss.dataset.dismiss = "";
  dismiss.append(icon("close"));
  box.append(icon(tone), words, dismiss);
  find("#toasts").append(box);
  fade(box);
}

/* A message goes by itself; bad news stays until it is dismissed. */
function fade(box) {
  if (!box.classList.contains("bad")) setTimeout(() => box.remove(), 8000);
}

document.addEventListener("toast", (event) => toast(event.detail.text ?? event.detail.value, event.detail.tone));
document.addEventListener("htmx:sendError", () => toast("The portal cannot be reached. Check the connection and try again.", "bad"));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 401) location.reload();
  else toast(status === 403 ? "Your role does not allow this." : `This did not work (${status}). Try again.`, "bad");
});

/* New alerts come as server-sent events; the browser asks again by itself. */

const alerts = find("[data-alerts]");
if (alerts) new EventSource(alerts.dataset.alerts).addEventListener("alert", (event) => toast(event.data, "warn"));

/* Clicks on what carries a data attribute */

document.addEventListener("click", (event) => {
  const at = (name) => event.target.closest(`[data-${name}]`);
  for (const menu of all("details.menu[open]")) if (!menu.contains(event.target) || at("opens")) menu.open = false;
  if (at("opens")) openDialog(find(`#${CSS.escape(at("opens").dataset.opens)}`));
  else if (at("closes")) at("closes").closest("dialog").close();
  else if (at("dismiss")) at("dismiss").closest(".toast").remove();
  else if (at("theme-switch")) setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  else if (at("side")) openSide(at("side").dataset.side === "toggle" && !find("#side").classList.contains("open"));
  else if (at("copies")) copy(at("copies").dataset.copies);
  else if (event.target instanceof HTMLDialogElement) closeOutside(event);
  else openRow(event);
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied ${text}`);
  } catch {
    toast("The browser does not allow copying here.", "warn");
  }
}

function closeOutside(event) {
  const box = event.target.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (!inside) event.target.close();
}

function openDialog(dialog) {
  if (dialog.open) return;
  dialog.showModal();
  if (dialog.id === "palette") startPalette();
}

/* Rows: a click anywhere on a row opens its link; text can still be selected. */

function openRow(event) {
  const row = event.target.closest("tr[data-row]");
  if (!row || event.target.closest("a, button, input, label, select, summary") || String(getSelection())) return;
  const link = find("a.row-link", row);
  if (event.ctrlKey || event.metaKey) open(link.href, "_blank", "noopener");
  else link.click();
}

function moveRow(step) {
  const links = all("main a.row-link").filter((link) => link.checkVisibility());
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = links[Math.min(Math.max(here + step, 0), links.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

/* Command palette */

const palette = { input: find("#palette-input"), list: find("#palette-list"), chosen: -1, asked: 0, timer: 0 };

function startPalette() {
  palette.input.value = "";
  showResults(find("#palette-start").content.cloneNode(true));
}

function showResults(content) {
  palette.list.replaceChildren(content);
  for (const [n, option] of options().entries()) option.id = `palette-option-${n}`;
  choose(options().length ? 0 : -1);
  const count = options().length;
  find("#palette-status").textContent = count ? `${count} results` : palette.list.textContent.trim();
}

const options = () => all("[role='option']", palette.list);

function choose(place) {
  palette.chosen = place;
  for (const [n, option] of options().entries()) option.setAttribute("aria-selected", String(n === place));
  const chosen = options()[place];
  if (chosen) palette.input.setAttribute("aria-activedescendant", chosen.id);
  else palette.input.removeAttribute("aria-activedescendant");
  chosen?.scrollIntoView({ block: "nearest" });
}

async function askPalette() {
  const text = palette.input.value.trim();
  const asked = ++palette.asked;
  if (!text) return startPalette();
  const message = (words) => Object.assign(document.createElement("p"), { className: "palette-none", textContent: words });
  try {
    const response = await fetch(`${script.dataset.search}?${new URLSearchParams({ q: text })}`, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    // A later question has been asked meanwhile.
    if (asked !== palette.asked) return;
    if (response.ok) showResults(document.adoptNode(fragment(page.body)));
    else showResults(message(response.status === 429 ? "Too many searches. Wait a moment." : "The search does not answer. Try again."));
  } catch {
    if (asked === palette.asked) showResults(message("The portal cannot be reached."));
  }
}

function fragment(body) {
  const made = document.createDocumentFragment();
  made.append(...body.childNodes);
  return made;
}

palette.input?.addEventListener("input", () => {
  clearTimeout(palette.timer);
  palette.timer = setTimeout(askPalette, 120);
});
palette.input?.addEventListener("keydown", (event) => {
  const last = options().length - 1;
  const places = { ArrowDown: palette.chosen >= last ? 0 : palette.chosen + 1, ArrowUp: palette.chosen <= 0 ? last : palette.chosen - 1, PageUp: 0, PageDown: last };
  if (event.key in places) choose(places[event.key]);
  else if (event.key === "Enter") options()[palette.chosen]?.click();
  else return;
  event.preventDefault();
});

/* Shortcuts. Those of a single key can be switched off and never act while somebody types. */

const singleKeys = () => localStorage.getItem("single-keys") !== "off";
let waitsForSection = 0;

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && palette.input) {
    event.preventDefault();
    return openDialog(find("#palette"));
  }
  if (event.key === "Escape") {
    for (const menu of all("details.menu[open]")) { menu.open = false; find("summary", menu).focus(); }
    if (find("#side.open")) openSide(false);
  }
  const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]") || !singleKeys()) return undefined;
  return pressed(event);
});

function pressed(event) {
  const key = event.key.toLowerCase();
  const section = Date.now() - waitsForSection < 1500 && find(`.nav a[data-key="${CSS.escape(key)}"]`);
  waitsForSection = key === "g" ? Date.now() : 0;
  if (section) section.click();
  else if (event.key === "/" && palette.input) openDialog(find("#palette"));
  else if (event.key === "?" && find("#shortcuts")) openDialog(find("#shortcuts"));
  else if (key === "j" || key === "k") moveRow(key === "j" ? 1 : -1);
  else return;
  event.preventDefault();
}

for (const box of all("[data-single-keys]")) {
  box.checked = singleKeys();
  box.addEventListener("change", () => localStorage.setItem("single-keys", box.checked ? "on" : "off"));
}

/* Charts: drawn when they come into view, again when the colours change. */

let library;

function loadLibrary() {
  library ??= new Promise((done, failed) => {
    const tag = Object.assign(document.createElement("script"), { src: script.dataset.charts });
    tag.addEventListener("load", done);
    tag.addEventListener("error", () => {
      library = undefined;
      failed(new Error("The chart library cannot be loaded."));
    });
    document.head.append(tag);
  });
  return library;
}

/* The colour of a token such as var(--chart-1) in the current theme, as vega reads it. */
function colour(token) {
  const probe = document.createElement("span");
  probe.style.color = token;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function chartConfig() {
  const [text, muted, grid, line] = ["var(--text)", "var(--muted)", "var(--chart-grid)", "var(--line-strong)"].map(colour);
  const font = getComputedStyle(document.body).fontFamily;
  const palettes = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => colour(`var(--chart-${n})`));
  return {
    aria: false, background: null, font, view: { stroke: null }, mark: { tooltip: true, color: palettes[0] },
    text: { color: text, font, fontSize: 12 },
    axis: { labelColor: muted, titleColor: muted, titleFontWeight: "normal", gridColor: grid, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12 },
    axisY: { domain: false, ticks: false, labelPadding: 8 },
    legend: { labelColor: text, titleColor: muted, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    header: { labelColor: text, titleColor: muted },
    range: { category: palettes, heatmap: ["var(--chart-low)", "var(--chart-high)"].map(colour), ramp: ["var(--chart-low)", "var(--chart-high)"].map(colour) },
  };
}

async function drawChart(plot) {
  const source = plot.dataset.plot;
  try {
    await loadLibrary();
    const spec = JSON.parse(source, (key, value) => (typeof value === "string" && value.startsWith("var(--") ? colour(value) : value));
    plot.drawn?.finalize();
    const formatLocale = script.dataset.numbers ? JSON.parse(script.dataset.numbers) : undefined;
    plot.drawn = await window.vegaEmbed(plot, { ...spec, config: chartConfig() }, {
      ast: true, actions: false, logLevel: 1, renderer: "svg", defaultStyle: false, tooltip: { disableDefaultStyle: true }, formatLocale,
    });
    // The place of the chart has its name; vega's marks have none.
    find("svg", plot).setAttribute("aria-hidden", "true");
  } catch (problem) {
    plot.classList.add("failed");
    plot.textContent = "The chart cannot be drawn. Its numbers are in the table.";
    find("details", plot.parentElement).open = true;
    console.error(problem);
  }
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) { seen.unobserve(target); drawChart(target); }
  }
}, { rootMargin: "200px" });

function redrawCharts() {
  for (const plot of all("[data-plot]")) if (plot.drawn) drawChart(plot);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);

/* New content, at the start and after htmx has put in a part. */

function start(within) {
  const box = within instanceof Element ? within : document;
  for (const plot of [...all("[data-plot]", box), ...(box.matches?.("[data-plot]") ? [box] : [])]) if (!plot.drawn) seen.observe(plot);
  for (const message of [...all(".toast", box), ...(box.matches?.(".toast") ? [box] : [])]) fade(message);
}

document.addEventListener("htmx:load", (event) => start(event.detail.elt));
addEventListener("beforeprint", () => all(".chart details").forEach((details) => { details.open = true; }));
if (/Mac|iPhone|iPad/.test(navigator.platform)) for (const key of all(".bar-search kbd")) key.textContent = "⌘K";
nameTheme();
