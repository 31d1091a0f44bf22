/** Measurements as the landmarks lie on the screen: always the server's, one request at a time. */

export class Measuring {
  #page;
  #isAsking = false;
  rows = [];

  constructor(page) {
    this.#page = page;
  }

  /** Ask anew, at most once a frame, until the answer is about what is on the screen. */
  soon() {
    if (this.#isAsking || this.#page.about.analysis === null) return;
    this.#isAsking = true;
    requestAnimationFrame(() => this.#ask());
  }

  async #ask() {
    const { id } = this.#page;
    const points = this.#points();
    const answer = await this.#page.api.ask("POST", "/api/measure", { id, points });
    this.#isAsking = false;
    if (answer.status !== 200 || id !== this.#page.id) return;
    this.rows = answer.body.measurements;
    this.#page.drawMeasurements();
    if (JSON.stringify(this.#points()) !== JSON.stringify(points)) this.soon();
  }

  #points() {
    return this.#page.film.landmarks.map(({ x, y }) => (x === null ? null : [x, y]));
  }
}
