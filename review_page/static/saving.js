/** Whether all is on the disk, in words: saved, waiting, in trouble, or in conflict with somebody else. */

import { byId } from "./elements.js";

const MADE = { place: "moved", confirm: "confirmed", reset: "back to the prediction" }; // by kind of change

function notYet(saver, changes) {
  if (saver.trouble) return `${changes} not saved`;
  return saver.conflicts.length ? `${changes} not saved: see above` : `Saving ${changes}…`;
}

/** ``name`` tells a landmark's name by its index. */
export function drawSaving(saver, reader, name) {
  const waiting = saver.numUnsaved;
  const changes = waiting === 1 ? "1 change" : `${waiting} changes`;
  byId("trouble").hidden = !saver.trouble;
  if (saver.trouble) {
    byId("trouble-text").textContent =
      `Not saved: ${saver.trouble} ${changes} ${waiting === 1 ? "is" : "are"} kept in this page and sent again; do not close it.`;
  }
  const [conflict] = saver.conflicts;
  byId("conflict").hidden = !conflict;
  if (conflict) {
    const { index } = conflict.event;
    const theirs = saver.film(conflict.id).landmarks[index].state;
    byId("conflict-text").textContent =
      `${name(index)} was changed by somebody else in the meantime: it is ${theirs} now. ` +
      `Yours, ${MADE[conflict.event.kind] ?? conflict.event.state}, is not saved.`;
  }
  const at = saver.savedAt ? `Saved at ${saver.savedAt.toLocaleTimeString()}` : "Nothing changed yet";
  byId("saved").textContent = waiting ? notYet(saver, changes) : at + (reader ? `, ${reader}` : "");
  document.body.dataset.unsaved = String(waiting);
}
