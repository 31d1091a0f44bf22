/**
 * Where a film lies on the stage, and how its greys are shown. Pure functions of plain values.
 *
 * Image coordinates are index pixels: the centre of the first pixel is (0, 0). Stage coordinates are CSS pixels
 * from the stage's upper left corner. A view is {scale, x, y}: stage = image * scale + (x, y).
 */

const LARGEST_SCALE = 40; // CSS pixels an image pixel
const MARGIN = 0.05; // of a side: a landmark may lie a little outside of its film

/** The view that shows a whole film of {width, height} in the middle of a stage. */
export function fit(film, stage) {
  const scale = Math.min(stage.width / film.width, stage.height / film.height) || 1;
  return {
    scale,
    x: (stage.width - film.width * scale) / 2 + scale / 2,
    y: (stage.height - film.height * scale) / 2 + scale / 2,
  };
}

/** Zoom by a factor so that what lies under a stage point stays there; smallest is the scale of the fit. */
export function zoomAt(view, factor, point, smallest) {
  const scale = Math.min(LARGEST_SCALE, Math.max(smallest * 0.5, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: point.x - (point.x - view.x) * ratio, y: point.y - (point.y - view.y) * ratio };
}

export function panned(view, dx, dy) {
  return { ...view, x: view.x + dx, y: view.y + dy };
}

export function toImage(view, point) {
  return { x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale };
}

export function toStage(view, point) {
  return { x: point.x * view.scale + view.x, y: point.y * view.scale + view.y };
}

/** The nearest place that the server takes: on the film or a little outside. */
export function onFilm(point, film) {
  const inside = (value, side) =>
    Math.min(side - 0.5 + MARGIN * side, Math.max(-0.5 - MARGIN * side, value));
  return { x: inside(point.x, film.width), y: inside(point.y, film.height) };
}

/** The view moved as little as needed so that a point of the image is inside of the stage. */
export function revealed(view, point, stage) {
  const at = toStage(view, point);
  const room = Math.min(60, stage.width / 4, stage.height / 4);
  const shift = (value, length) => Math.max(room - value, 0) + Math.min(length - room - value, 0);
  return panned(view, shift(at.x, stage.width), shift(at.y, stage.height));
}

/**
 * Output greys, 0 to 1, for equal steps of the input: contrast about the middle, then brightness, gamma and
 * inversion. What feComponentTransfer calls tableValues.
 */
export function greyTable({ contrast, brightness, gamma, inverted }, steps = 33) {
  return Array.from({ length: steps }, (_, index) => {
    const grey = index / (steps - 1);
    const stretched = Math.min(1, Math.max(0, (grey - 0.5) * contrast + 0.5 + brightness));
    const curved = stretched ** (1 / gamma);
    return inverted ? 1 - curved : curved;
  });
}

/** The landmark nearest to a stage point within reach (CSS pixels); null for none. */
export function nearest(landmarks, view, point, reach) {
  let best = null;
  let least = reach;
  for (const landmark of landmarks) {
    if (landmark.x === null) continue;
    const at = toStage(view, landmark);
    const distance = Math.hypot(at.x - point.x, at.y - point.y);
    if (distance <= least) [best, least] = [landmark, distance];
  }
  return best;
}
