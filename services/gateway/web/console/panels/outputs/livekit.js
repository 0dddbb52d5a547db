// LiveKit: the state of the publication, what viewers receive, and a link for a viewer without a token.

import { addressOf } from "../../../lib/address.js";
import { attempt, byId, element, setAttribute, setText } from "../../../lib/elements.js";
import { OUTPUT_WORDS } from "./rtmp.js";

const BUSY_LOSS = 0.02;

/**
 * @param {import("../../../lib/api.js").Api} api @param {() => import("../../../lib/globals.js").State} current
 * @returns {import("../../../lib/globals.js").Panel}
 */
export function livekit(api, current) {
  const place = byId("livekit");
  const word = element("span", { class: "state-word", role: "status", "aria-label": "LiveKit state" });
  const head = element("div", { class: "head" }, element("h3", {}, "LiveKit"), word);
  const toggle = element("button", { id: "livekit-switch", "aria-pressed": "false" });
  const figures = element("p", { class: "detail", "aria-label": "LiveKit figures" });
  const note = element("p", { class: "bad" });
  const why = element("p", { class: "why" });
  const invite = element("button", { class: "quiet" }, "Create watch link");
  const link = element("input", { readonly: "", hidden: "", "aria-label": "Watch link" });
  const about = element("p", { class: "detail" });
  const failed = element("p", { class: "bad", role: "alert" });
  place.append(head, toggle, figures, note, why, invite, link, about, failed);
  toggle.addEventListener("click", () => attempt(failed, () => api.patch({ livekit: !current().scene.livekit })));
  invite.addEventListener("click", () => attempt(failed, async () => {
    /** @type {import("../../../lib/api_types.js").ViewerLink} */
    const { token, expires } = await (await api.ask("POST", "./viewers")).json();
    link.value = addressOf(`/watch/${api.channel}#token=${token}`);
    link.hidden = false;
    link.select();
    const until = new Date(expires * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const copied = await navigator.clipboard?.writeText(link.value).then(() => true, () => false);
    setText(about, `${copied ? "Link copied. " : ""}The link can be opened until ${until} and only allows watching.`);
  }));

  return (state) => {
    const output = state.outputs.livekit;
    const wanted = state.scene.livekit;
    setAttribute(place, "data-state", output.state);
    setText(word, OUTPUT_WORDS[output.state]);
    setAttribute(toggle, "aria-pressed", String(wanted));
    setText(toggle, wanted ? "Stop publishing" : "Publish to LiveKit");
    toggle.disabled = Boolean(output.unavailable) && !wanted;
    invite.disabled = Boolean(output.unavailable);
    setText(why, output.unavailable);
    setText(note, output.unavailable ? "" : output.note);
    setText(figures, output.state === "live" ? figuresLine(output.figures, output.room) : "");
  };
}

/** @param {Record<string, number>} figures @param {string} room @returns {string} */
function figuresLine(figures, room) {
  const { viewers = 0, kbps, loss, rtt_ms: trip, width, height, fps } = figures;
  const parts = [`room ${room}`, `${viewers} viewer${viewers === 1 ? "" : "s"}`];
  if (width) parts.push(`${width}×${height} at ${fps} fps`);
  if (kbps !== undefined) parts.push(`${kbps} kbit/s`);
  if (loss !== undefined) parts.push(`${(loss * 100).toFixed(1)} % lost${loss > BUSY_LOSS ? " (the connection is too slow)" : ""}`);
  if (trip !== undefined) parts.push(`${trip} ms round trip`);
  return parts.join(" · ");
}
