/** Pictures of films as addresses inside of this page; the last few are kept, so that paging is quick. */

const KEPT = 4;

export class Pictures {
  #api;
  #known = new Map(); // "id view" -> promise of an address, the newest last

  constructor(api) {
    this.#api = api;
  }

  /** Throws an Error with the server's sentence. */
  of(id, view) {
    const key = `${id} ${view}`;
    const found = this.#known.get(key) ?? this.#api.picture(id, view);
    this.#known.delete(key);
    this.#known.set(key, found);
    found.catch(() => this.#known.delete(key));
    for (const [old, address] of [...this.#known].slice(0, -KEPT)) {
      this.#known.delete(old);
      address.then((known) => URL.revokeObjectURL(known)).catch(() => {});
    }
    return found;
  }

  /** Fetch one that will be asked for soon. */
  prepare(id, view) {
    this.of(id, view).catch(() => {});
  }
}
