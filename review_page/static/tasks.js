/** What takes the server a while: predictions, files to take along, following a reader's protocol. */

import { asked, byId } from "./elements.js";

const POLL = 700; // ms

export class Tasks {
  #page;
  #timer = null;

  constructor(page) {
    this.#page = page;
  }

  /** Watch what the server is at, until it is at nothing. */
  async watch() {
    clearTimeout(this.#timer);
    const answer = await this.#page.api.ask("GET", "/api/progress");
    const { task, done, of, message } = answer.status === 200 ? answer.body : { task: null };
    const words = { predicting: "Finding landmarks", adapting: "Following your protocol" }[task];
    byId("waiting").hidden = !task;
    byId("waiting").textContent = task ? `${words ?? task}: ${done} of ${of} films` : "";
    byId("adapt").disabled = Boolean(task);
    if (task) this.#timer = setTimeout(() => this.#again(done), POLL);
    else if (message) return message;
    return null;
  }

  async #again(doneBefore) {
    const wasAdapting = byId("waiting").textContent.startsWith("Following");
    const message = await this.watch();
    const isOver = byId("waiting").hidden;
    await this.#page.refreshFilms().catch(() => {});
    if (isOver || this.#isWaitedFor()) await this.#page.open(this.#page.id ?? 0);
    if (isOver && wasAdapting && message) await this.#page.tell("Follow my protocol", [message]);
    return doneBefore;
  }

  /** Whether the film that is open has got its prediction just now. */
  #isWaitedFor() {
    const { id, films, film } = this.#page;
    return id !== null && films[id]?.predicted && film.landmarks.every((landmark) => landmark.predicted === null);
  }

  async adapt() {
    const reviewed = this.#page.films.filter((film) => film.state !== "open").length;
    await this.#page.saver.settled();
    try {
      await this.#page.api.post("/api/adapt");
    } catch (error) {
      return this.#page.tell("Follow my protocol", [error.message]);
    }
    this.#page.say(`Following your protocol on ${reviewed} reviewed films.`);
    return this.watch();
  }

  async export() {
    const kind = await asked(byId("export-dialog"), (value) => value);
    if (kind === null) return;
    await this.#page.saver.settled();
    try {
      const { files, notes } = await this.#page.api.post(`/api/export/${kind}`);
      await this.#page.tell("Exported", [...files, ...notes]);
    } catch (error) {
      await this.#page.tell("Not exported", [error.message]);
    }
  }
}
