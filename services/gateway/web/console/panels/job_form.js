// A new job: which avatar, which engine, which driver, and what comes out.

import { byId, element, keyed, mark, write } from "../../lib/elements.js";

const CODECS = [["h264", "H.264 (.mp4)"], ["hevc", "HEVC (.mp4)"], ["prores", "ProRes (.mov)"], ["vp9", "VP9 with alpha (.webm)"]];
const INBOX = "inbox";

/** @param {import("../../lib/api.js").Api} api @returns {(state: any) => void} */
export function submit(api) {
  const form = byId("job-form"), opener = byId("job-new"), failed = byId("job-error");
  const parts = fill(form);
  let sending = false;
  let key = newKey();
  const show = (on) => {
    form.hidden = !on;
    mark(opener, "aria-expanded", String(on));
    if (on) { listInbox(api, parts); form.elements.avatar.focus(); } else opener.focus();
  };
  opener.addEventListener("click", () => show(form.hidden));
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") show(false); });
  // Another content is another job; the same one sent twice, after a lost answer, is the same job.
  form.addEventListener("change", () => { key = newKey(); });
  form.elements.source.addEventListener("change", () => source(form, parts));
  source(form, parts);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    write(failed, "");
    parts.send.disabled = true;
    try {
      await api.upload("/jobs", contents(form), { "Idempotency-Key": key }, (share) => {
        parts.sent.hidden = false;
        parts.sent.value = share;
        write(parts.send, share < 1 ? `Sending ${Math.floor(share * 100)} %` : "Being checked…");
      });
      key = newKey();
      form.elements.driver.value = "";
      show(false);
    } catch (error) {
      write(failed, error.message);
    } finally {
      sending = false;
      parts.send.disabled = parts.sent.hidden = false;
      parts.sent.hidden = true;
      write(parts.send, "Submit");
    }
  });

  return (state) => {
    choose(form.elements.avatar, state.avatars.filter((row) => !row.building).map((row) => [row.name, row.name, row.unavailable]), state.scene.avatar);
    choose(form.elements.engine, state.engines.map((row) => [row.name, row.title || row.name, row.unavailable]), state.scene.engine);
    const chosen = state.engines.find((row) => row.name === form.elements.engine.value);
    write(parts.terms, chosen?.terms ?? "");
    const rungs = chosen?.qualities ?? [];
    parts.quality.hidden = rungs.length === 0;
    choose(form.elements.quality, rungs.length ? [["", "as the studio is set", ""], ...rungs.map((rung) => [rung.name, rung.title, ""])] : [], "");
    const absent = state.engines.filter((row) => row.unavailable);
    parts.absent.hidden = absent.length === 0;
    keyed(parts.absent.lastChild, absent, (row) => row.name, () => element("li"), (child, row) => write(child, row.unavailable));
  };
}

/** @param {HTMLFormElement} form */
function fill(form) {
  const select = (name, rows = []) => element("select", { name }, ...rows.map(([value, text]) => element("option", { value }, text)));
  const label = (text, control) => element("label", {}, text, control);
  const file = label("Driver, film, speech or recorded motion", element("input", { name: "driver", type: "file", accept: "video/*,audio/*,.npz,.pkl" }));
  const quality = label("Quality", select("quality"));
  const terms = element("p", { class: "detail" });
  const absent = element("details", { hidden: "" }, element("summary", {}, "Why some cannot be had"), element("ul", { class: "why" }));
  const inbox = label("File in the inbox", select(INBOX));
  const note = element("p", { class: "detail" });
  const size = element("input", { name: "size", placeholder: "as the plate", pattern: "\\d{2,5}x\\d{2,5}", title: "like 1080x1920", autocomplete: "off" });
  const fps = element("input", { name: "fps", type: "number", min: "1", max: "120", step: "any", placeholder: "as the driver" });
  const marked = element("input", { name: "label", type: "checkbox", checked: "" });
  const send = element("button", { class: "primary" }, "Submit");
  const sent = element("progress", { max: "1", value: "0", "aria-label": "sent", hidden: "" });
  form.append(
    label("Avatar", select("avatar")), label("Engine", select("engine")), terms, quality, absent,
    label("Driver from", select("source", [["file", "this computer"], [INBOX, "the studio's inbox"]])), file, inbox, note,
    label("Priority", select("priority", [["normal", "normal"], ["high", "high"], ["low", "low"]])),
    element("details", {}, element("summary", {}, "More"),
      label("Codec", select("codec", CODECS)), label("Size", size), label("Pictures a second", fps),
      element("label", { class: "check" }, marked, "AI label")),
    sent, send);
  return { file, inbox, note, quality, terms, absent, send, sent };
}

/** @param {HTMLFormElement} form */
function contents(form) {
  const given = form.elements, body = new FormData();
  for (const name of ["avatar", "engine", "quality", "priority", "codec", "size", "fps"]) if (given[name].value) body.append(name, given[name].value);
  body.append("label", given.label.checked ? "yes" : "no");
  if (given.source.value === INBOX) body.append(INBOX, given[INBOX].value);
  else body.append("driver", given.driver.files[0]);
  return body;
}

/** Only what is asked for is shown, and required. */
function source(form, parts) {
  const here = form.elements.source.value !== INBOX;
  parts.file.hidden = !here;
  parts.inbox.hidden = parts.note.hidden = here;
  form.elements.driver.required = here;
  form.elements[INBOX].required = !here;
}

/** @param {import("../../lib/api.js").Api} api */
async function listInbox(api, parts) {
  try {
    const { folder, files } = await (await api.ask("GET", "/inbox")).json();
    const rows = files.map((file) => [file.name, file.name, ""]);
    choose(parts.inbox.querySelector("select"), rows, rows[0]?.[0]);
    write(parts.note, files.length ? "" : `The inbox is empty; put files into ${folder} on the studio's machine.`);
  } catch (error) {
    write(parts.note, error.message);
  }
}

/** Options by value; the first time there are any, `first` is chosen.
 * @param {HTMLSelectElement} select @param {[string, string, string][]} rows value, text, why it cannot be had */
function choose(select, rows, first) {
  const fresh = !select.options.length && rows.length;
  keyed(select, rows, ([value]) => value, ([value]) => element("option", { value }), (option, [, text, unavailable]) => {
    write(option, unavailable ? `${text} (not available)` : text);
    mark(option, "title", unavailable);
    option.disabled = Boolean(unavailable);
  });
  if (fresh && rows.some(([value]) => value === first)) select.value = first;
}

/** Not crypto.randomUUID: a console opened from another machine without TLS does not have it. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
