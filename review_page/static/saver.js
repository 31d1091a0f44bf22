/**
 * Changes on their way to the disk, one at a time and in their order.
 *
 * What the server cannot take now (no answer, a full disk) stays here and is sent again. What somebody else
 * changed in the meantime becomes a conflict, about which a person decides; the last one never wins unseen.
 */

import { applied, changedLandmarks, isDone } from "./case_state.js";

const FIRST_WAIT = 1000; // ms before the second try; doubled up to the longest
const LONGEST_WAIT = 8000;

export class Saver extends EventTarget {
  #api;
  #films = new Map(); // id -> the server's last answer
  #queue = []; // {id, event}
  #busy = false;
  #wait = FIRST_WAIT;
  #timer = null;
  conflicts = []; // {id, event}
  trouble = ""; // why nothing is saved at the moment
  savedAt = null;

  constructor(api) {
    super();
    this.#api = api;
  }

  get numUnsaved() {
    return this.#queue.length + this.conflicts.length;
  }

  /** A film as the server has it; also where it was asked for anew. */
  take(film) {
    this.#films.set(film.id, film);
  }

  /** A film with the changes on it that are under way. */
  film(id) {
    const known = this.#films.get(id);
    return this.#queue.filter((entry) => entry.id === id).reduce((film, entry) => applied(film, entry.event), known);
  }

  push(id, event) {
    this.#queue.push({ id, event });
    this.#tell();
    this.#work();
  }

  /** Nothing is under way any more, or it cannot be saved now. */
  async settled() {
    while (this.#queue.length && !this.trouble) {
      await new Promise((done) => this.addEventListener("change", done, { once: true }));
    }
  }

  /** A person has decided about the first conflict: their own change again, or what is there. */
  decide(mine) {
    const { id, event } = this.conflicts.shift();
    if (mine) this.push(id, event);
    else this.#tell();
  }

  retryNow() {
    clearTimeout(this.#timer);
    this.#work();
  }

  async #work() {
    if (this.#busy || !this.#queue.length) return;
    this.#busy = true;
    while (this.#queue.length) {
      const entry = this.#queue[0];
      const base = this.#films.get(entry.id).revision;
      const answer = await this.#api.ask("PUT", `/api/case/${entry.id}`, { base, event: entry.event });
      if (!this.#taken(entry, answer)) break;
    }
    this.#busy = false;
    if (this.#queue.length) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#work(), this.#wait);
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    }
  }

  /** Whether to go on with the next. */
  #taken(entry, { status, body }) {
    if ([0, 403, 500, 502, 503, 507].includes(status)) {
      this.trouble = body.error;
      this.#tell();
      return false;
    }
    this.trouble = "";
    this.#wait = FIRST_WAIT;
    this.#queue.shift();
    if (status === 200) this.#arrived(entry, body);
    else if (status === 409) this.#conflicted(entry, body);
    else this.dispatchEvent(new CustomEvent("refused", { detail: body.error }));
    this.#tell();
    return true;
  }

  #arrived(entry, film) {
    const before = this.#films.get(entry.id);
    this.#films.set(film.id, film);
    this.savedAt = new Date();
    if (film.warning) this.dispatchEvent(new CustomEvent("warned", { detail: film.warning }));
    const isOfFilm = entry.event.index === undefined; // undo, redo, flag, state, calibration
    if (isOfFilm && film.revision > before.revision) {
      this.dispatchEvent(new CustomEvent("told", { detail: film.history[0].text }));
    }
    if (["undo", "redo"].includes(entry.event.kind)) return;
    const foreign = new Set(changedLandmarks(before, film).map((landmark) => landmark.index));
    foreign.delete(entry.event.index);
    const isLate = (other) => other.id === film.id && foreign.has(other.event.index);
    this.conflicts.push(...this.#queue.filter(isLate));
    this.#queue = this.#queue.filter((other) => !isLate(other));
  }

  #conflicted(entry, body) {
    this.#films.set(entry.id, body.case);
    if (isDone(body.case, entry.event)) this.savedAt = new Date();
    else if (entry.event.index === undefined) this.dispatchEvent(new CustomEvent("refused", { detail: body.error }));
    else this.conflicts.push(entry);
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
