/** Starts the page and ties its buttons to what they do. */

import { Api, takeToken } from "./api.js";
import { byId } from "./elements.js";
import { Gestures } from "./gestures.js";
import { Keys } from "./keys.js";
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
  window.addEventListener("beforeunload", (event) => {
    if (saver.numUnsaved) event.preventDefault();
  });
  await page.refreshFilms();
  const [first] = page.visibleFilms.filter((film) => film.state === "open");
  await page.open((first ?? page.visibleFilms[0]).id);
  await tasks.watch();
}

function tie(page, tasks) {
  const { about, saver, view } = page;
  const imageState = (state) => () => page.change({ kind: "image", state });
  const clicks = {
    previous: () => page.step(-1),
    next: () => page.step(1),
    reviewed: () => imageState(page.film.state === "open" ? "reviewed" : "open")(),
    lock: () => imageState(page.film.state === "locked" ? "reviewed" : "locked")(),
    flag: () => page.flagFilm(),
    undo: () => page.change({ kind: "undo" }),
    redo: () => page.change({ kind: "redo" }),
    calibrate: () => page.calibrate(),
    adapt: () => tasks.adapt(),
    export: () => tasks.export(),
    theme: nextTheme,
    help: () => page.showHelp(),
    "zoom-in": () => view.zoom(1.25),
    "zoom-out": () => view.zoom(0.8),
    "zoom-fit": () => view.fit(),
    invert: () => page.invert(),
    plain: () => resetGreys(page),
    names: () => page.toggle("names"),
    circles: () => page.toggle("circles"),
    lines: () => page.toggle("lines"),
    "loupe-shown": () => page.toggleLoupe(),
    "model-view": () => page.showModelView(),
    confirm: () => page.confirmNext(),
    back: () => page.back(),
    "by-tap": () => page.setByTap(),
    reset: () => page.changeChosen({ kind: "reset" }),
    "not-visible": () => page.changeChosen({ kind: "state", state: "not visible", note: "" }),
    unsure: () => page.unsure(),
    retry: () => saver.retryNow(),
    "keep-theirs": () => saver.decide(false),
    "take-mine": () => saver.decide(true),
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", action);
  for (const key of ["contrast", "brightness", "gamma"]) {
    byId(key).addEventListener("input", () => view.setGreys({ [key]: Number(byId(key).value) }));
  }
  for (const button of document.querySelectorAll("[data-nudge]")) {
    const [dx, dy] = button.dataset.nudge.split(" ").map(Number);
    button.addEventListener("click", () => page.nudge(dx * stepSize(), dy * stepSize()));
  }
  byId("film-list").addEventListener("change", () => page.open(Number(byId("film-list").value)));
  for (const id of ["film-filter", "film-order"]) byId(id).addEventListener("change", () => page.drawFilms());
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

function resetGreys(page) {
  page.view.setGreys({ contrast: 1, brightness: 0, gamma: 1, inverted: false });
  byId("invert").setAttribute("aria-pressed", "false");
  for (const [key, value] of Object.entries({ contrast: 1, brightness: 0, gamma: 1 })) byId(key).value = value;
}

function nextTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
}

start().catch((error) => {
  byId("trouble").hidden = false;
  byId("trouble-text").textContent = error.message;
  byId("retry").hidden = true;
});
