/** Starts the page and ties its buttons to what they do. */

import { Api, takeToken } from "./api.js";
import { byId } from "./elements.js";
import { Gestures } from "./gestures.js";
import { Keys } from "./keys.js";
import { showHelp } from "./notes.js";
import { Page } from "./page.js";
import { Saver } from "./saver.js";
import { Tasks } from "./tasks.js";

const THEMES = ["", "dark", "light"];

async function start() {
  const api = new Api(takeToken());
  const saver = new Saver(api);
  const page = new Page(api, saver, await api.get("/api/session"));
  const tasks = new Tasks(page);
  const gestures = new Gestures(page);
  new Keys(page, gestures);
  tie(page, tasks);
  window.onhashchange = () => {
    if (!location.hash) return;
    api.renew(takeToken());
    saver.retryNow();
  };
  window.addEventListener("beforeunload", (event) => {
    if (saver.numUnsaved) event.preventDefault();
  });
  await page.list.refresh(null);
  await page.open((page.list.firstOpen ?? page.list.lines[0]).id);
  await tasks.watch();
}

function tie(page, tasks) {
  const { about, edits, looking, saver, view } = page;
  const imageState = (state) => () => edits.change({ kind: "image", state });
  const clicks = {
    previous: () => page.step(-1),
    next: () => page.step(1),
    reviewed: () => imageState(page.film.state === "open" ? "reviewed" : "open")(),
    lock: () => imageState(page.film.state === "locked" ? "reviewed" : "locked")(),
    flag: () => edits.flagFilm(),
    undo: () => edits.change({ kind: "undo" }),
    redo: () => edits.change({ kind: "redo" }),
    calibrate: () => page.pointing.ruler(),
    adapt: () => tasks.adapt(),
    export: () => tasks.export(),
    theme: nextTheme,
    help: () => showHelp(),
    "zoom-in": () => view.zoom(1.25),
    "zoom-out": () => view.zoom(0.8),
    "zoom-fit": () => view.fit(),
    invert: () => page.greys.invert(),
    plain: () => page.greys.reset(),
    names: () => looking.toggle("names"),
    circles: () => looking.toggle("circles"),
    lines: () => looking.toggle("lines"),
    "loupe-shown": () => looking.toggleLoupe(),
    "model-view": () => looking.showModelView(),
    confirm: () => edits.confirmNext(),
    back: () => page.back(),
    "by-tap": () => page.pointing.landmark(),
    reset: () => edits.changeChosen({ kind: "reset" }),
    "not-visible": () => edits.changeChosen({ kind: "state", state: "not visible", note: "" }),
    unsure: () => edits.unsure(),
    retry: () => saver.retryNow(),
    "keep-theirs": () => saver.decide(false),
    "take-mine": () => saver.decide(true),
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", action);
  for (const button of document.querySelectorAll("[data-nudge]")) {
    const [dx, dy] = button.dataset.nudge.split(" ").map(Number);
    button.addEventListener("click", () => edits.nudge(dx * stepSize(), dy * stepSize()));
  }
  byId("film-list").addEventListener("change", () => page.open(Number(byId("film-list").value)));
  for (const id of ["film-filter", "film-order"]) byId(id).addEventListener("change", () => page.list.draw(page.id));
  byId("landmark-order").addEventListener("change", () => page.draw());
  byId("queue").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    page.chooseNeighbour(by);
  });
  byId("adapt").hidden = !about.can_adapt;
  byId("export-sr").hidden = !about.can_sr;
  document.body.classList.toggle("blind", about.blind);
}

function stepSize() {
  return Number(byId("step").value);
}

function nextTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
}

window.onhashchange = () => location.reload(); // an address with a token, after a reload without one
start().catch((error) => {
  byId("trouble").hidden = false;
  byId("trouble-text").textContent = error.message;
  byId("retry").hidden = true;
});
