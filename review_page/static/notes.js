/** Notes that a person writes, and sentences that the page tells in a window of its own. */

import { asked, byId, html } from "./elements.js";

/** The note, or null where it was left. */
export function askNote(title, value) {
  byId("note-title").textContent = title;
  byId("note").value = value;
  const answer = asked(byId("note-dialog"), () => byId("note").value);
  byId("note").select();
  return answer;
}

export function tell(title, sentences) {
  byId("told-title").textContent = title;
  byId("told-text").replaceChildren(...sentences.map((sentence) => html("p", {}, sentence)));
  return asked(byId("told-dialog"), () => null);
}

export function showHelp() {
  return asked(byId("help-dialog"), () => null);
}
