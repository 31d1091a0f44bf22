/** Whether all is on the disk, in words: saved, waiting, in trouble, or in conflict with somebody else. */

import { byId } from "./elements.js";

/** ``name`` tells a landmark's name by its index. */
export function drawSaving(saver, reader, name) {
  const waiting = saver.numUnsaved;
  byId("trouble").hidden = !saver.trouble;
  if (saver.trouble) {
    const kept = waiting === 1 ? "1 change is" : `${waiting} changes are`;
    byId("trouble-text").textContent =
      `Not saved: ${saver.trouble} ${kept} kept in this page and sent again; do not close it.`;
  }
  const [conflict] = saver.conflicts;
  byId("conflict").hidden = !conflict;
  if (conflict) {
    byId("conflict-text").textContent =
      `${name(conflict.event.index)} was changed by somebody else in the meantime. Yours is not saved.`;
  }
  const at = saver.savedAt ? `Saved at ${saver.savedAt.toLocaleTimeString()}` : "Nothing changed yet";
  byId("saved").textContent = waiting ? `Saving ${waiting}…` : at + (reader ? `, ${reader}` : "");
  document.body.dataset.unsaved = String(waiting);
}
