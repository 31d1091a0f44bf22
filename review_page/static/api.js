/** Requests to the server of this page, each with the token from the address. */

const GONE = "The server does not answer. Is review.py still running? Start it again.";

export class Api {
  #token;

  constructor(token) {
    this.#token = token;
  }

  /** Another one, where the server was started anew. */
  renew(token) {
    this.#token = token;
  }

  /** {status, body}; status 0 when no server answers. Never throws. */
  async ask(method, path, body) {
    const headers = { "X-Review-Token": this.#token };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    try {
      const answer = await fetch(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      return { status: answer.status, body: await answer.json() };
    } catch {
      return { status: 0, body: { error: GONE } };
    }
  }

  /** The body of an answer that must be there. Throws an Error with the server's sentence otherwise. */
  async get(path) {
    return this.#needed(await this.ask("GET", path));
  }

  async post(path, body = {}) {
    return this.#needed(await this.ask("POST", path, body));
  }

  /** An address of the film's picture inside of this page; release it by URL.revokeObjectURL. */
  async picture(id, view) {
    const headers = { "X-Review-Token": this.#token };
    const answer = await fetch(`/api/image/${id}?view=${view}`, { headers }).catch(() => null);
    if (answer === null) throw new Error(GONE);
    if (!answer.ok) throw new Error((await answer.json()).error);
    return URL.createObjectURL(await answer.blob());
  }

  #needed({ status, body }) {
    if (status !== 200) throw new Error(body.error ?? `The server answered ${status}.`);
    return body;
  }
}

/** The token of the address, which is taken out of it, so that no bookmark or history keeps it. */
export function takeToken() {
  const token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  return token;
}
