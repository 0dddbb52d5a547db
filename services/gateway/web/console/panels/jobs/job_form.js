// The form for a new job: avatar, engine, driver and output.

import { attempt, byId, element, messageOf, setAttribute, setText, updateList } from "../../../lib/elements.js";
import { optionFields } from "../../option_fields.js";
import { offerVoices } from "../../voice_choice.js";
import { jobCost } from "./job_cost.js";

/**
 * The form's parts. fields: its controls. file, inbox, text: driver fields with their labels; only those of the chosen source are
 * shown. options: fields of the engine's options. note: a sentence about the inbox or the voices. cost: estimate for an offline
 * engine. terms: what the chosen engine's weights may be used for. absent, absentList: engines that are not available, with reasons.
 * @typedef {ReturnType<typeof fillForm>} Parts
 */

/** @type {[string, string][]} */
const CODECS = [["h264", "H.264 (.mp4)"], ["hevc", "HEVC (.mp4)"], ["prores", "ProRes (.mov)"], ["vp9", "VP9 with alpha (.webm)"]];
const INBOX = "inbox", TEXT = "text", FILE = "file";
const MOST_TEXT = 20_000; // characters: at most 80 KB as UTF-8
const TITLE = 40; // characters of a text that are used as the job's name
/** Fields that are sent if they are not empty. @type {("avatar" | "engine" | "priority" | "codec" | "size" | "fps")[]} */
const SENT = ["avatar", "engine", "priority", "codec", "size", "fps"];

/** @param {import("../../../lib/api.js").Api} api @returns {(state: import("../../../lib/globals.js").State) => void} */
export function jobForm(api) {
  const form = byId("job-form", HTMLFormElement), opener = byId("job-new"), failed = byId("job-error");
  const parts = fillForm(form), { fields } = parts;
  let sending = false;
  let key = newKey(), offline = false;
  const costChanged = jobCost(api, parts.cost, () => offline && !sending ? contents(parts) : null);
  const fetchChoices = () => attempt(failed, async () => {
    await listInbox(api, parts);
    parts.voices = await offerVoices(api, fields.voice);
    showSource(parts);
  });
  /** @param {boolean} on */
  const show = (on) => {
    form.hidden = !on;
    setAttribute(opener, "aria-expanded", String(on));
    if (on) { fetchChoices(); fields.avatar.focus(); } else opener.focus();
  };
  opener.addEventListener("click", () => show(Boolean(form.hidden)));
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") show(false); });
  // Changed content needs a new key; sending the same content twice, after a lost answer, must not make a second job.
  form.addEventListener("change", () => { key = newKey(); costChanged(); });
  fields.source.addEventListener("change", () => showSource(parts));
  showSource(parts);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    setText(failed, "");
    parts.send.disabled = true;
    try {
      await api.upload("/jobs", contents(parts), { "Idempotency-Key": key }, (share) => {
        parts.sent.hidden = false;
        parts.sent.value = share;
        setText(parts.send, share < 1 ? `Uploading ${Math.floor(share * 100)} %` : "Checking…");
      });
      key = newKey();
      fields.driver.value = fields.text.value = "";
      costChanged();
      show(false);
    } catch (error) {
      setText(failed, messageOf(error));
    } finally {
      sending = false;
      parts.send.disabled = false;
      parts.sent.hidden = true;
      setText(parts.send, "Submit");
    }
  });

  return (state) => {
    offer(fields.avatar, state.avatars.filter((row) => !row.building).map((row) => [row.name, row.name, row.unavailable]), state.scene.avatar);
    const staffed = new Set(state.jobs?.workers?.engines ?? []);
    /** Why an engine cannot be chosen; one that a worker on another machine can run is available. @type {(row: import("../../../lib/globals.js").State["engines"][number]) => string} */
    const hindrance = (row) => staffed.has(row.name) ? "" : row.unavailable;
    offer(fields.engine, state.engines.map((row) => [row.name, row.title || row.name, hindrance(row)]), state.scene.engine);
    const chosen = state.engines.find((row) => row.name === fields.engine.value);
    offline = Boolean(chosen && isOffline(chosen));
    setText(parts.terms, [offline ? "Renders whole clips, offline only." : "", chosen?.terms ?? ""].filter(Boolean).join(" "));
    parts.options.draw(chosen, {});
    const absent = state.engines.filter(hindrance);
    parts.absent.hidden = absent.length === 0;
    updateList(parts.absentList, absent, (row) => row.name, () => ({ root: element("li") }), ({ root }, row) => setText(root, row.unavailable));
  };
}

/** Whether an engine never goes on air. @param {import("../../../lib/globals.js").State["engines"][number]} row */
const isOffline = (row) => row.modes.length > 0 && !row.modes.includes("live");

/** @param {HTMLFormElement} form */
function fillForm(form) {
  /** @param {string} name @param {[string, string][]} rows value, text */
  const select = (name, rows = []) => element("select", { name }, ...rows.map(([value, text]) => element("option", { value }, text)));
  /** @param {string} text @param {HTMLElement} control */
  const label = (text, control) => element("label", {}, text, control);
  const fields = {
    avatar: select("avatar"),
    engine: select("engine"),
    source: select("source", [[FILE, "this computer"], [INBOX, "the studio's inbox"], [TEXT, "text spoken by a voice"]]),
    driver: element("input", { name: "driver", type: "file" }),
    inbox: select(INBOX),
    text: element("textarea", { name: TEXT, rows: "4", maxlength: String(MOST_TEXT) }),
    voice: select("voice"),
    burnCaptions: element("input", { name: "burn_captions", type: "checkbox" }),
    priority: select("priority", [["normal", "normal"], ["high", "high"], ["low", "low"]]),
    codec: select("codec", CODECS),
    size: element("input", { name: "size", placeholder: "same as the plate", pattern: "\\d{2,5}x\\d{2,5}", title: "width x height, such as 1080x1920", autocomplete: "off" }),
    fps: element("input", { name: "fps", type: "number", min: "1", max: "120", step: "any", placeholder: "same as the driver" }),
    label: element("input", { name: "label", type: "checkbox", checked: "" }),
  };
  const file = label("Driver: video, speech or recorded motion", fields.driver);
  const optionsPlace = element("div");
  const terms = element("p", { class: "detail" });
  const absentList = element("ul", { class: "why" });
  const absent = element("details", { hidden: "" }, element("summary", {}, "Unavailable engines"), absentList);
  const inbox = label("File in the inbox", fields.inbox);
  const text = element("div", {},
    label("Text to speak", fields.text), label("Speaking voice", fields.voice), element("label", { class: "check" }, fields.burnCaptions, "Burn captions in"));
  const note = element("p", { class: "detail" });
  const cost = element("p", { class: "detail cost", role: "status", "aria-label": "cost" });
  const send = element("button", { class: "primary" }, "Submit");
  const sent = element("progress", { max: "1", value: "0", "aria-label": "Upload progress", hidden: "" });
  form.append(
    label("Avatar", fields.avatar), label("Engine", fields.engine), terms, optionsPlace, absent,
    label("Driver from", fields.source), file, inbox, text, note, label("Priority", fields.priority),
    element("details", {}, element("summary", {}, "More"),
      label("Codec", fields.codec), label("Size", fields.size), label("Frames per second", fields.fps),
      element("label", { class: "check" }, fields.label, "AI label")),
    cost, sent, send);
  return { fields, file, inbox, text, note, listed: "", voices: "", cost, options: optionFields(optionsPlace, "job-option", null), terms, absent, absentList, send, sent };
}

/** @param {Parts} parts @returns {FormData} what is sent */
function contents({ fields, options }) {
  const body = new FormData();
  for (const name of SENT) if (fields[name].value) body.append(name, fields[name].value);
  const given = options.values();
  if (Object.keys(given).length) body.append("options", JSON.stringify(given));
  body.append("label", fields.label.checked ? "yes" : "no");
  const file = fields.driver.files?.[0];
  if (fields.source.value === INBOX) body.append(INBOX, fields.inbox.value);
  else if (fields.source.value === TEXT) {
    const text = fields.text.value.trim(), title = text.replace(/[^\p{L}\p{N}]+/gu, " ").trim().slice(0, TITLE).trim();
    body.append(TEXT, new Blob([text], { type: "text/plain" }), `${title || TEXT}.txt`);
    if (fields.voice.value) body.append("voice", fields.voice.value);
    body.append("burn_captions", fields.burnCaptions.checked ? "yes" : "no");
  } else if (file) body.append("driver", file);
  return body;
}

/** Show and require only the fields of the chosen source. @param {Parts} parts */
function showSource({ fields, file, inbox, text, note, listed, voices }) {
  const from = fields.source.value;
  file.hidden = !(fields.driver.required = from === FILE);
  inbox.hidden = !(fields.inbox.required = from === INBOX);
  text.hidden = !(fields.text.required = from === TEXT);
  if (fields.voice.parentElement) fields.voice.parentElement.hidden = fields.voice.hidden;
  setText(note, { [INBOX]: listed, [TEXT]: voices }[from] ?? "");
}

/** @param {import("../../../lib/api.js").Api} api @param {Parts} parts */
async function listInbox(api, parts) {
  try {
    /** @type {import("../../../lib/api_types.js").Inbox} */
    const { folder, files } = await (await api.ask("GET", "/inbox")).json();
    offer(parts.fields.inbox, files.map((file) => option(file.name, file.name)), files[0]?.name ?? "");
    parts.listed = files.length ? "" : `The inbox is empty. Put files into ${folder} on the studio's machine.`;
  } catch (error) {
    parts.listed = messageOf(error);
  }
}

/** An option that is available. @param {string} value @param {string} text @returns {[string, string, string]} */
const option = (value, text) => [value, text, ""];

/** Update the options of a select; `first` is chosen when the first options appear.
 * @param {HTMLSelectElement} select @param {[string, string, string][]} rows value, text, why it is not available
 * @param {string} first */
function offer(select, rows, first) {
  const fresh = !select.options.length && rows.length;
  /** @param {[string, string, string]} row */
  const make = ([value]) => ({ root: element("option", { value }) });
  updateList(select, rows, ([value]) => value, make, ({ root }, [, text, unavailable]) => {
    setText(root, unavailable ? `${text} (unavailable)` : text);
    setAttribute(root, "title", unavailable);
    root.disabled = Boolean(unavailable);
  });
  if (fresh && rows.some(([value]) => value === first)) select.value = first;
}

/** A random key; crypto.randomUUID does not exist in a console opened from another machine without TLS. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
