/** What takes the server a while: predictions, files to take along, following a reader's protocol. */

import { asked, byId } from "./elements.js";
import { tell } from "./notes.js";

const POLL = 700; // ms
const TITLES = { predicting: "Finding landmarks", adapting: "Follow my protocol" };
const WORDS = { predicting: "Finding landmarks", adapting: "Following your protocol" };

export class Tasks {
  #page;
  #isWatching = false;

  constructor(page) {
    this.#page = page;
  }

  /** Show what the server is at, until it is at nothing; tell what came of it. ``begun`` may have ended already. */
  async watch(begun = null) {
    if (this.#isWatching) return;
    this.#isWatching = true;
    let last = begun;
    let progress = await this.#progress();
    while (progress === null ? last !== null : progress.task) {
      if (progress !== null) last = progress.task;
      this.#show(progress);
      await new Promise((done) => setTimeout(done, POLL));
      await this.#refresh(this.#isWaitedFor());
      progress = await this.#progress();
    }
    this.#show(null);
    this.#isWatching = false;
    if (last === null || progress === null) return;
    await this.#refresh(true);
    if (progress.message) await tell(TITLES[last] ?? last, [progress.message]);
  }

  /** null while the server does not answer. */
  async #progress() {
    const answer = await this.#page.api.ask("GET", "/api/progress");
    return answer.status === 200 ? answer.body : null;
  }

  #show(progress) {
    const task = progress?.task;
    byId("waiting").hidden = !task;
    byId("waiting-text").textContent = task ? `${WORDS[task] ?? task}: ${progress.done} of ${progress.of} films` : "";
    byId("waiting-bar").max = Math.max(1, progress?.of ?? 1);
    byId("waiting-bar").value = progress?.done ?? 0;
    byId("adapt").disabled = Boolean(task);
  }

  async #refresh(isReopened) {
    await this.#page.list.refresh(this.#page.id).catch(() => {});
    if (isReopened) await this.#page.reopen();
  }

  /** Whether the film that is open may have got its prediction just now. */
  #isWaitedFor() {
    const { id, film, about } = this.#page;
    return id !== null && !about.blind && film.landmarks.every((landmark) => landmark.predicted === null);
  }

  async adapt() {
    const reviewed = this.#page.list.numReviewed;
    await this.#page.saver.settled();
    try {
      await this.#page.api.post("/api/adapt");
    } catch (error) {
      return tell("Follow my protocol", [error.message]);
    }
    this.#page.say(`Following your protocol on ${reviewed} reviewed films.`);
    return this.watch("adapting");
  }

  async export() {
    const kind = await asked(byId("export-dialog"), (value) => value);
    if (kind === null) return;
    await this.#page.saver.settled();
    if (this.#page.saver.numUnsaved) {
      await tell("Not exported", ["Some changes are not saved yet, and would be missing in the files."]);
      return;
    }
    try {
      const { files, notes } = await this.#page.api.post(`/api/export/${kind}`);
      await tell("Exported", [...files, ...notes]);
    } catch (error) {
      await tell("Not exported", [error.message]);
    }
  }
}
