// Watch links for the audience: make, copy and revoke them; the number of viewers of each.

import { askOnce, attempt, byId, element, setText, updateList } from "../../../lib/elements.js";

const HOUR_S = 3600;
const SOON_S = 24 * HOUR_S;
const TALK_OFF = "Set STUDIO_CONVERSATION_VIEWERS_MAY_TALK to let viewers talk.";

/** @param {import("../../../lib/api.js").Api} api @returns {import("../../../lib/globals.js").Panel} */
export function audience(api) {
  const failed = byId("audience-error");
  const said = byId("audience-said");
  const form = byId("audience-form", HTMLFormElement);
  const opener = byId("audience-new");
  const address = byId("audience-address", HTMLInputElement);
  /** @param {boolean} open */
  const show = (open) => {
    form.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
  };
  opener.addEventListener("click", () => {
    show(form.hidden === true);
    if (form.hidden) return;
    byId("audience-label").focus();
    attempt(failed, () => offerTalk(api));
  });

  /** @param {import("../../../lib/api_types.js").WatchLinkRow} row */
  const copy = async (row) => {
    address.value = location.origin + row.url;
    address.hidden = false;
    const copied = await navigator.clipboard?.writeText(address.value).then(() => true, () => false);
    if (!copied) address.select();
    setText(said, copied ? "Link copied." : "Copy the link from the field above.");
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(failed, async () => {
      /** @param {string} id */
      const field = (id) => byId(id, HTMLInputElement);
      const made = await api.ask("POST", "./watch-links", {
        label: field("audience-label").value.trim(),
        expires_s: Math.round(field("audience-hours").valueAsNumber * HOUR_S),
        viewers: field("audience-viewers").valueAsNumber,
        talk: field("audience-talk").checked,
      });
      show(false);
      opener.focus();
      await copy(await made.json());
    });
  });

  /** @param {import("../../../lib/api_types.js").WatchLinkState} row */
  const make = (row) => {
    const name = row.label || `link ${row.id.slice(0, 4)}`;
    const line = element("span", { class: "detail" });
    const copier = element("button", { "aria-label": `Copy ${name}` }, "Copy");
    copier.addEventListener("click", () => attempt(failed, async () => {
      /** @type {import("../../../lib/api_types.js").WatchLinkRow[]} */
      const rows = await (await api.ask("GET", "./watch-links")).json();
      const found = rows.find((each) => each.id === row.id);
      if (!found) throw new Error("This link has expired. Create a new one.");
      await copy(found);
    }));
    const revoke = element("button", { "aria-label": `Revoke ${name}` }, "Revoke");
    askOnce(revoke, () => "Revoke?", () => attempt(failed, async () => {
      await api.ask("DELETE", `./watch-links/${row.id}`);
      address.hidden = true;
      setText(said, "");
    }));
    const buttons = element("div", { class: "row" }, copier, revoke);
    return { root: element("li", {}, element("strong", {}, name), line, buttons), line, revoke };
  };

  return (state) => {
    const { viewers, most, links } = state.audience;
    setText(byId("audience-line"), most
      ? `${viewers} of ${most} viewers${links.length ? "" : " · no links yet"}`
      : "Watch links are off because the setting watch_viewers is 0.");
    opener.hidden = !most;
    updateList(byId("audience-links"), links, (row) => row.id, make, ({ line, revoke }, row) => {
      setText(line, `${row.watching} of ${row.viewers} watching · until ${until(row.expires)}${row.talk ? " · may talk" : ""}`);
      if (!revoke.dataset.asking) setText(revoke, "Revoke");
    });
  };
}

/** Whether a link may let its viewers talk with the host. @param {import("../../../lib/api.js").Api} api */
async function offerTalk(api) {
  /** @type {import("../../../lib/api_types.js").Conversation} */
  const { available, why, viewers_may_talk } = await (await api.ask("GET", "./conversation")).json();
  const box = byId("audience-talk", HTMLInputElement);
  box.disabled = !available || !viewers_may_talk;
  if (box.disabled) box.checked = false;
  setText(byId("audience-talk-why"), available && !viewers_may_talk ? TALK_OFF : why);
}

/** @param {number} expires wall clock seconds @returns {string} */
function until(expires) {
  const soon = expires - Date.now() / 1000 < SOON_S;
  return new Date(expires * 1000).toLocaleString([], {
    ...(soon ? {} : { month: "short", day: "numeric" }), hour: "2-digit", minute: "2-digit",
  });
}
