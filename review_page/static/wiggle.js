/** The wiggle chart: each measurement in standard deviations of its norm, joined from row to row. */

import { byId, svg } from "./elements.js";

const ROW = 18; // CSS pixels
const LEFT = 74; // for the codes
const WIDTH = 330;
const MOST = 4; // standard deviations to each side; what lies farther is drawn at the edge

/** How many of the norm's standard deviations a value lies from its mean; null where that has no meaning. */
export function deviation(row, value = row.value) {
  return value === null || !row.norm || !(row.norm.sd > 0) ? null : (value - row.norm.mean) / row.norm.sd;
}

export function drawWiggle(rows) {
  const shown = rows.filter((row) => row.norm && row.norm.sd > 0);
  byId("wiggle-part").hidden = shown.length === 0;
  const chart = byId("wiggle");
  const height = ROW * (shown.length + 1);
  chart.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  chart.setAttribute("width", WIDTH);
  chart.setAttribute("height", height);
  chart.replaceChildren(
    svg("rect", { class: "norm", x: across(-1), y: ROW, width: across(1) - across(-1), height: height - ROW }),
    ...[-4, -2, 0, 2, 4].flatMap((sd) => axis(sd, height)),
    ...joined(shown),
    ...shown.flatMap(drawnRow),
  );
}

function across(sd) {
  const room = (WIDTH - LEFT - 14) / 2;
  return LEFT + room + (room * Math.min(MOST, Math.max(-MOST, sd))) / MOST;
}

function down(index) {
  return ROW * (index + 1.5);
}

function axis(sd, height) {
  const x = across(sd);
  return [
    svg("line", { class: "axis", x1: x, y1: ROW, x2: x, y2: height }),
    svg("text", { x, y: 12, "text-anchor": "middle" }, `${sd > 0 ? "+" : ""}${sd}`),
  ];
}

function drawnRow(row, index) {
  const [y, sd] = [down(index), deviation(row)];
  const name = svg("text", { x: 0, y: y + 4 }, row.code);
  if (sd === null) return [name];
  const ends = [deviation(row, row.low), deviation(row, row.high)];
  const interval = ends.includes(null)
    ? null
    : svg("line", { class: "interval", x1: across(ends[0]), y1: y, x2: across(ends[1]), y2: y });
  return [name, interval, svg("circle", { cx: across(sd), cy: y, r: 3.5 })].filter((part) => part !== null);
}

function joined(rows) {
  return rows.slice(1).flatMap((row, index) => {
    const ends = [deviation(rows[index]), deviation(row)];
    if (ends.includes(null)) return [];
    const [x1, x2] = ends.map(across);
    return [svg("line", { class: "joined", x1, y1: down(index), x2, y2: down(index + 1) })];
  });
}
