/** A corner of the stage that shows the surroundings of a point enlarged. */

import { byId } from "./elements.js";

const SIDE = 180; // CSS pixels
const ENLARGED = 4; // times the film on the stage, but at least LEAST and at most MOST CSS pixels a pixel
const LEAST = 2;
const MOST = 12;

export class Loupe {
  isShown = true;

  constructor() {
    byId("loupe-cross").setAttribute(
      "d",
      `M${SIDE / 2} 0V${SIDE / 2 - 8}M${SIDE / 2} ${SIDE}V${SIDE / 2 + 8}M0 ${SIDE / 2}H${SIDE / 2 - 8}M${SIDE} ${SIDE / 2}H${SIDE / 2 + 8}`,
    );
  }

  /** Look at a point of the image; ``stagePoint`` tells from which corner to stay away. */
  look(point, scale, stagePoint, stage) {
    const loupe = byId("loupe");
    loupe.classList.toggle("off", !this.isShown || point === null || point.x === null);
    if (!this.isShown || point === null || point.x === null) return;
    const large = Math.min(MOST, Math.max(LEAST, scale * ENLARGED));
    byId("loupe-view").setAttribute(
      "transform",
      `matrix(${large} 0 0 ${large} ${SIDE / 2 - point.x * large} ${SIDE / 2 - point.y * large})`,
    );
    const isBelow = stagePoint.x > stage.width - SIDE - 60 && stagePoint.y < SIDE + 60;
    loupe.classList.toggle("below", isBelow);
  }
}
