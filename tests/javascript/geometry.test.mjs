/** The page's pure functions, by node's own test runner. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  applied,
  changedLandmarks,
  filteredFilms,
  isDone,
  nextOpen,
  sortedFilms,
} from "../../review_page/static/case_state.js";
import {
  fit,
  greyTable,
  nearest,
  onFilm,
  panned,
  revealed,
  toImage,
  toStage,
  zoomAt,
} from "../../review_page/static/geometry.js";

import { whose } from "../../review_page/static/panels.js";
import { compared } from "../../review_page/static/wiggle.js";

const FILM = { width: 1935, height: 2400 };
const STAGE = { width: 900, height: 700 };
const near = (one, other, reach = 1e-9) => assert.ok(Math.abs(one - other) <= reach, `${one} is not ${other}`);

test("a fitted film lies whole and in the middle, its first pixel's centre half a pixel in", () => {
  const view = fit(FILM, STAGE);
  const upper = toStage(view, { x: -0.5, y: -0.5 });
  const lower = toStage(view, { x: FILM.width - 0.5, y: FILM.height - 0.5 });
  near(upper.y, 0, 1e-6);
  near(lower.y, STAGE.height, 1e-6);
  near(upper.x + lower.x, STAGE.width, 1e-6);
});

test("zoom keeps what lies under the cursor, within its limits", () => {
  let view = fit(FILM, STAGE);
  const smallest = view.scale;
  const cursor = { x: 310, y: 222 };
  const before = toImage(view, cursor);
  for (const factor of [1.5, 7, 0.3, 100, 1e-9]) {
    view = zoomAt(view, factor, cursor, smallest);
    const after = toImage(view, cursor);
    near(after.x, before.x, 1e-6);
    near(after.y, before.y, 1e-6);
    assert.ok(view.scale <= 40 && view.scale >= smallest / 2);
  }
});

test("image and stage are each other's inverse, also after a pan", () => {
  const view = panned(zoomAt(fit(FILM, STAGE), 3, { x: 5, y: 9 }, 0.1), -40, 17);
  const back = toStage(view, toImage(view, { x: 123, y: 456 }));
  near(back.x, 123, 1e-9);
  near(back.y, 456, 1e-9);
});

test("a hidden point is brought inside, a visible one moves nothing", () => {
  const view = zoomAt(fit(FILM, STAGE), 10, { x: 0, y: 0 }, 0.1);
  const at = toStage(revealed(view, { x: 1900, y: 2300 }, STAGE), { x: 1900, y: 2300 });
  assert.ok(at.x > 0 && at.x < STAGE.width && at.y > 0 && at.y < STAGE.height);
  const whole = fit(FILM, STAGE);
  assert.deepEqual(revealed(whole, { x: 1000, y: 1200 }, STAGE), whole);
});

test("places are held on the film with a margin", () => {
  assert.deepEqual(onFilm({ x: 10, y: 20 }, FILM), { x: 10, y: 20 });
  const far = onFilm({ x: 9999, y: -9999 }, FILM);
  near(far.x, FILM.width - 0.5 + 0.05 * FILM.width);
  near(far.y, -0.5 - 0.05 * FILM.height);
});

test("greys rise from black to white, fall when inverted, and steepen with contrast", () => {
  const plain = { contrast: 1, brightness: 0, gamma: 1, inverted: false };
  const table = greyTable(plain);
  table.forEach((grey, index) => near(grey, index / 32));
  greyTable({ ...plain, inverted: true }).forEach((grey, index) => near(grey, 1 - table[index]));
  assert.ok(greyTable({ ...plain, contrast: 3 })[20] > table[20]);
  assert.ok(greyTable({ ...plain, gamma: 2 })[8] > table[8]);
  assert.ok(greyTable({ ...plain, contrast: 9, brightness: 1 }).every((grey) => grey >= 0 && grey <= 1));
});

test("the nearest landmark within reach is hit, one without a place never", () => {
  const view = { scale: 2, x: 0, y: 0 };
  const landmarks = [
    { index: 0, x: 10, y: 10 },
    { index: 1, x: 14, y: 10 },
    { index: 2, x: null, y: null },
  ];
  assert.equal(nearest(landmarks, view, { x: 27, y: 20 }, 12).index, 1);
  assert.equal(nearest(landmarks, view, { x: 90, y: 90 }, 12), null);
});

const mark = (index, state = "predicted") => ({
  index, x: 1 + index, y: 2, predicted: { x: 1 + index, y: 2 }, state, note: "",
});
const film = (...states) => ({ id: 0, landmarks: states.map((state, index) => mark(index, state)) });

test("changes under way show as the server will answer them", () => {
  const before = film("predicted", "predicted");
  const moved = applied(before, { kind: "place", index: 1, x: 5, y: 6 });
  assert.deepEqual([moved.landmarks[1].x, moved.landmarks[1].state], [5, "moved"]);
  assert.equal(before.landmarks[1].state, "predicted", "what the server said is not changed");
  assert.deepEqual(applied(moved, { kind: "reset", index: 1 }).landmarks, before.landmarks);
  assert.equal(applied(moved, { kind: "state", index: 1, state: "not visible", note: "" }).landmarks[1].x, null);
  assert.deepEqual(changedLandmarks(before, moved).map(({ index }) => index), [1]);
});

test("a change that is there already was saved although its answer got lost", () => {
  const confirmed = applied(film("predicted"), { kind: "confirm", index: 0 });
  assert.ok(isDone(confirmed, { kind: "confirm", index: 0 }));
  assert.ok(!isDone(film("predicted"), { kind: "confirm", index: 0 }));
  assert.ok(!isDone(confirmed, { kind: "undo" }));
});

test("the next open landmark is looked for to the end and from the top again", () => {
  const open = film("predicted", "confirmed", "predicted");
  assert.equal(nextOpen(open, [0, 1, 2], 0), 2);
  assert.equal(nextOpen(open, [0, 1, 2], 2), 0);
  assert.equal(nextOpen(film("confirmed", "unsure"), [0, 1], 0), null);
});

test("implausible films come first, then by what is asked for; filters let through what they say", () => {
  const line = (id, risk, plausible, state = "open") => ({
    id, risk, doubt: -risk, plausible, state, flagged: false, unsure: 0,
  });
  const films = [line(0, 1, true), line(1, 3, true, "reviewed"), line(2, 0, false), line(3, 2, null)];
  const ids = (list) => list.map(({ id }) => id);
  assert.deepEqual(ids(sortedFilms(films, "effect")), [2, 1, 3, 0]);
  assert.deepEqual(ids(sortedFilms(films, "uncertainty")), [2, 0, 3, 1]);
  assert.deepEqual(ids(sortedFilms(films, "folder")), [2, 0, 1, 3]);
  assert.deepEqual(ids(filteredFilms(films, "done")), [1]);
  assert.deepEqual(ids(filteredFilms(films, "open")), [0, 2, 3]);
  films[0].unsure = 1;
  films[3].flagged = true;
  assert.deepEqual(ids(filteredFilms(films, "flagged")), [0, 3]);
});

test("the wiggle chart has the measurements that the server compares with their norm", () => {
  const row = (code, norm) => ({ code, value: 85, low: 80, high: 90, norm });
  const norm = { mean: 82, sd: 2, verified: true, deviations: 1.5 };
  const rows = [row("SNA", norm), row("Co-Gn", { ...norm, deviations: null }), row("ODI", null)];
  assert.deepEqual(compared(rows).map(({ code }) => code), ["SNA"]);
});

test("a norm of one sex says so, also where it is unverified", () => {
  assert.equal(whose({ population: "Ann Arbor", sex: "female", verified: false }), "Ann Arbor, female, unverified");
  assert.equal(whose({ population: "Ann Arbor", sex: "both", verified: true }), "Ann Arbor");
});
