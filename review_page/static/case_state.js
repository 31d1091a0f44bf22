/**
 * What a film looks like with changes on it that the server has not acknowledged yet. Pure functions.
 *
 * The server's answer always replaces what is worked out here; this is only so that nobody waits for a disk.
 */

const SETTLED = new Set(["confirmed", "moved", "not visible", "unsure"]);

export function isSettled(landmark) {
  return SETTLED.has(landmark.state);
}

export function unsettled(film) {
  return film.landmarks.filter((landmark) => !isSettled(landmark));
}

function atPrediction(landmark) {
  return landmark.predicted !== null && landmark.predicted.x === landmark.x && landmark.predicted.y === landmark.y;
}

function marked(landmark, event) {
  switch (event.kind) {
    case "place":
      return { ...landmark, x: event.x, y: event.y, state: "moved" };
    case "confirm":
      if (["confirmed", "moved", "not visible"].includes(landmark.state)) return landmark;
      return { ...landmark, state: atPrediction(landmark) ? "confirmed" : "moved" };
    case "reset":
      return backToPrediction(landmark);
    case "state":
      if (event.state === "predicted") return backToPrediction(landmark);
      if (event.state === "not visible") {
        return { ...landmark, state: event.state, note: event.note, x: null, y: null };
      }
      return { ...landmark, state: event.state, note: event.note };
    default:
      return landmark;
  }
}

function backToPrediction(landmark) {
  const place = landmark.predicted ?? { x: null, y: null };
  return { ...landmark, x: place.x, y: place.y, state: "predicted", note: "" };
}

/** A film after an event; undo, redo and calibration wait for the server. */
export function applied(film, event) {
  if (event.index !== undefined) {
    const landmarks = film.landmarks.map((landmark) =>
      landmark.index === event.index ? marked(landmark, event) : landmark,
    );
    return { ...film, landmarks };
  }
  if (event.kind === "flag") return { ...film, flagged: event.flagged, flag_note: event.note };
  if (event.kind === "image") return { ...film, state: event.state };
  return film;
}

/** Whether a film already is as an event would make it: an answer got lost, not the change. */
export function isDone(film, event) {
  const after = applied(film, event);
  return JSON.stringify(after) === JSON.stringify(film) && !["undo", "redo", "calibrate"].includes(event.kind);
}

/** Landmarks that two answers of the server show differently. */
export function changedLandmarks(before, after) {
  const said = ({ x, y, state, note }) => JSON.stringify([x, y, state, note]);
  return after.landmarks.filter((landmark, index) => said(landmark) !== said(before.landmarks[index]));
}

/** The landmark to look at after one was settled: the next open one in the order, from the top again. */
export function nextOpen(film, order, current) {
  const start = order.indexOf(current) + 1;
  const turned = [...order.slice(start), ...order.slice(0, start)];
  return turned.find((index) => index !== current && !isSettled(film.landmarks[index])) ?? null;
}

/** Films in the order in which they are looked at: implausible ones first, then by what the order asks for. */
export function sortedFilms(films, order) {
  const rank = { effect: (film) => -film.risk, uncertainty: (film) => -film.doubt, folder: () => 0 }[order];
  return [...films].sort(
    (one, other) =>
      (one.plausible === false ? 0 : 1) - (other.plausible === false ? 0 : 1) ||
      rank(one) - rank(other) ||
      one.id - other.id,
  );
}

/** Films that a filter lets through: all, open, flagged or done. */
export function filteredFilms(films, filter) {
  const passes = {
    all: () => true,
    open: (film) => film.state === "open",
    flagged: (film) => film.flagged || film.unsure > 0,
    done: (film) => film.state !== "open",
  }[filter];
  return films.filter(passes);
}
