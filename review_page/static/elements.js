/** Elements of the page, made without any markup from text. */

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
  return document.getElementById(id);
}

/** An HTML element; keys of ``attributes`` that begin with "on" are listeners, children are nodes or text. */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A dialog of the page, opened; resolves with what ``answer`` makes of it, or null when it was left. */
export function asked(dialog, answer) {
  return new Promise((resolve) => {
    const finish = (value) => {
      dialog.close();
      controller.abort();
      resolve(value);
    };
    const controller = new AbortController();
    const { signal } = controller;
    dialog.addEventListener("cancel", (event) => (event.preventDefault(), finish(null)), { signal });
    for (const button of dialog.querySelectorAll("button[value]")) {
      button.addEventListener("click", () => finish(button.value === "cancel" ? null : answer(button.value)), {
        signal,
      });
    }
    dialog.addEventListener(
      "keydown",
      (event) => {
        if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
        event.preventDefault();
        dialog.querySelector("button[data-default]").click();
      },
      { signal },
    );
    dialog.showModal();
  });
}
