/** Contrast, brightness, gamma and inversion: by keys and by the sliders, the same for all films. */

import { byId } from "./elements.js";

const PLAIN = { contrast: 1, brightness: 0, gamma: 1, inverted: false };
const LIMITS = { contrast: [0.4, 4], brightness: [-0.5, 0.5], gamma: [0.3, 3] };

export class Greys {
  #page;

  constructor(page) {
    this.#page = page;
    for (const key of Object.keys(LIMITS)) {
      byId(key).addEventListener("input", () => this.set({ [key]: Number(byId(key).value) }));
    }
  }

  invert() {
    this.set({ inverted: !this.#page.view.greys.inverted });
  }

  reset() {
    this.set(PLAIN);
  }

  adjust(key, change) {
    const [least, most] = LIMITS[key];
    const value = Math.min(most, Math.max(least, this.#page.view.greys[key] + change));
    this.set({ [key]: Math.round(value * 100) / 100 });
    this.#page.say(`${key} ${this.#page.view.greys[key]}`);
  }

  set(change) {
    this.#page.view.setGreys(change);
    const { greys } = this.#page.view;
    for (const key of Object.keys(LIMITS)) byId(key).value = greys[key];
    byId("invert").setAttribute("aria-pressed", String(greys.inverted));
  }
}
