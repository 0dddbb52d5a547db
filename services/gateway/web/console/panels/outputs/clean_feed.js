// The clean feed: which outputs omit the AI label, and the right that permits it.

import { attempt, byId, element, setAttribute, setText } from "../../../lib/elements.js";

/** @type {["record_clean" | "rtmp_clean", string][]} field of the scene, title */
const OUTPUTS = [["record_clean", "Recording"], ["rtmp_clean", "RTMP"]];

/**
 * @param {import("../../../lib/api.js").Api} api @param {() => import("../../../lib/globals.js").State} current
 * @returns {import("../../../lib/globals.js").Panel}
 */
export function cleanFeed(api, current) {
  const failed = element("p", { class: "bad", role: "alert" });
  const group = element("div", { class: "button-pair", role: "group", "aria-label": "Outputs without the AI label" });
  const buttons = OUTPUTS.map(([field, title]) => {
    const button = element("button", { "aria-pressed": "false" }, title);
    button.addEventListener("click", () => attempt(failed, () => api.patch({ [field]: !current().scene[field] })));
    group.append(button);
    return { field, button };
  });
  const why = element("p", { class: "detail" });
  byId("outputs").append(element("h3", {}, "Without the AI label"), group, why, failed);

  return (state) => {
    const { right, unavailable } = state.clean_feed;
    for (const { field, button } of buttons) {
      setAttribute(button, "aria-pressed", String(state.scene[field] && !unavailable));
      button.disabled = Boolean(unavailable);
    }
    setText(why, unavailable || `Permitted by: ${right}`);
  };
}
