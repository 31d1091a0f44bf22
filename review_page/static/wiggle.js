/** The wiggle chart: each measurement in standard deviations of its norm, joined from row to row. */

import { byId, svg } from "./elements.js";

const ROW = 18; // CSS pixels
const LEFT = 74; // for the codes
const WIDTH = 330;
const MOST = 4; // standard deviations to each side; what lies farther is drawn at the edge

/** The rows that may be compared with their norm; which those are is the server's to say. */
export function compared(rows) {
  return rows.filter(({ norm }) => norm && norm.deviations !== null);
}

export function drawWiggle(rows) {
  const shown = compared(rows);
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
  const y = down(index);
  const name = svg("text", { x: 0, y: y + 4 }, row.code);
  const circle = svg("circle", { cx: across(row.norm.deviations), cy: y, r: 3.5 });
  if (row.low === null) return [name, circle];
  const [x1, x2] = [row.low, row.high].map((end) => across((end - row.norm.mean) / row.norm.sd));
  return [name, svg("line", { class: "interval", x1, y1: y, x2, y2: y }), circle];
}

function joined(rows) {
  const places = rows.map((row) => across(row.norm.deviations));
  return places
    .slice(1)
    .map((x2, index) => svg("line", { class: "joined", x1: places[index], y1: down(index), x2, y2: down(index + 1) }));
}
