// Sessions in other applications' rooms: their number, the state of each, and a button to end it. Hidden if sessions are off.

import { askOnce, attempt, byId, element, setText, updateList } from "../../../lib/elements.js";

/** The states of a session as words with a sign. @type {Record<string, string>} */
const WORDS = { opening: "◌ opening", connecting: "◌ connecting…", live: "● live", reconnecting: "▲ reconnecting", failed: "✕ failed" };

/** @param {import("../../../lib/api.js").Api} api @returns {import("../../../lib/globals.js").Panel} */
export function sessions(api) {
  const box = byId("sessions-box");
  const failed = byId("sessions-error");
  /** @param {import("../../../lib/api_types.js").SessionStatus} row */
  const make = (row) => {
    const line = element("span", { class: "detail" });
    const note = element("p", { class: "why" });
    const stop = element("button", { "aria-label": `Stop session ${row.session_id}` }, "Stop");
    const end = () => attempt(failed, () => api.ask("DELETE", `/sessions/${row.session_id}`));
    askOnce(stop, () => "Stop?", end);
    return { root: element("li", {}, line, stop, note), line, note, stop };
  };
  return (state) => {
    box.hidden = !state.sessions;
    if (!state.sessions) return;
    const { running, free, reason } = state.sessions;
    const room = free ? `room for ${free} more` : reason;
    setText(byId("sessions-line"), `${running.length || "No"} session${running.length === 1 ? "" : "s"} · ${room}`);
    updateList(byId("sessions"), running, (row) => row.session_id, make, ({ line, note, stop }, row) => {
      const { fps, viewers } = row.figures;
      const parts = [WORDS[row.state] ?? row.state, `${row.avatar}, ${row.engine}`, row.avatar_identity];
      if (fps !== undefined) parts.push(`${fps} fps`, `${viewers} in the room`);
      // Lines break only between the parts. The id is shown because the log identifies a session by it.
      setText(line, [...parts, row.session_id].map((part) => part.replaceAll(" ", "\u00a0")).join(" · "));
      setText(note, row.note);
      if (!stop.dataset.asking) setText(stop, "Stop");
    });
  };
}
