/** How the film is looked at: which marks, the loupe, and whether as it is or as the model saw it. */

import { byId } from "./elements.js";
import { toStage } from "./geometry.js";
import { Loupe } from "./loupe.js";

export class Looking {
  #page;

  constructor(page) {
    this.#page = page;
    this.loupe = new Loupe();
  }

  get pictureKind() {
    return byId("model-view").getAttribute("aria-pressed") === "true" ? "model" : "display";
  }

  /** Fingers get a handle. */
  touched(isTouch) {
    const { view } = this.#page;
    if (view.isTouched === isTouch) return;
    view.isTouched = isTouch;
    view.draw();
  }

  toggle(what) {
    const { view } = this.#page;
    view.shown[what] = !view.shown[what];
    byId(what).setAttribute("aria-pressed", String(view.shown[what]));
    view.draw();
  }

  toggleLoupe() {
    this.loupe.isShown = !this.loupe.isShown;
    byId("loupe-shown").setAttribute("aria-pressed", String(this.loupe.isShown));
    this.atChosen();
  }

  async showModelView() {
    const button = byId("model-view");
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    try {
      const address = await this.#page.pictures.of(this.#page.id, this.pictureKind);
      this.#page.view.open(this.#page.saver.film(this.#page.id), address, true);
    } catch (error) {
      button.setAttribute("aria-pressed", "false");
      this.#page.say(error.message);
    }
  }

  atChosen() {
    const landmark = this.#page.chosenLandmark;
    if (landmark !== null && landmark.x !== null) this.at(landmark, toStage(this.#page.view.view, landmark));
    else this.loupe.look(null);
  }

  atPoint(point) {
    this.at(point, toStage(this.#page.view.view, point));
  }

  /** The loupe at a point of the image, which lies at ``stagePoint``. */
  at(point, stagePoint) {
    this.loupe.look(point, this.#page.view.view.scale, stagePoint, this.#page.view.size);
  }
}
