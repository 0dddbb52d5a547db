// Watching by a link, without a streaming server: plate, ROI and sound over one socket.

import { Api } from "../lib/api.js";
import { Clock } from "../lib/clock.js";
import { byId } from "../lib/elements.js";
import { keepOpen } from "../lib/reconnecting_socket.js";
import { Plate } from "../preview/plate.js";
import { ProgramSocket } from "../preview/program_socket.js";
import { ProgramSound } from "../preview/sound.js";
import { Stage } from "../preview/stage.js";
import { talkPanel } from "../talk/talk.js";
import { captionLine, drawSound, listenToControls, showFigures, showProgram, showState } from "./controls.js";

const LEAD_S = 0.25; // a viewer's network is slower than the console's
const LONGEST_WAIT_MS = 15_000;
const PERIOD_MS = 1000;
// Close codes of services/gateway/audience/links.py and api/watch_socket.py, sent with a sentence. After a FINAL one only a new
// link helps.
const FINAL = [4400, 4401, 4402, 4403];
const FULL = [4429, 4430];

/** @param {string} link the link's token */
export function watchByLink(link) {
  const canvas = byId("canvas", HTMLCanvasElement);
  const stage = new Stage(canvas, new Clock(), new ProgramSound(LEAD_S));
  const api = new Api(link, decodeURIComponent(location.pathname.split("/").pop() ?? ""));
  /** The plate is kept when the connection is lost, so that it is not fetched again. @type {{name: string, plate: Plate} | null} */
  let kept = null;
  const program = new ProgramSocket(stage, captionLine, async ({ plate: name = "" }) => {
    if (!name) throw new Error("there is none.");
    if (kept?.name !== name) kept = { name, plate: await Plate.fetch(api, `./watch/plates/${name}`) };
    return kept.plate;
  });
  let bytes = 0, frames = 0;
  let over = ""; // why the page cannot reconnect, a sentence; "" while it can

  keepOpen(() => api.socket("watch"), {
    up: (socket) => program.begin(socket),
    message: (event) => {
      bytes += typeof event.data === "string" ? event.data.length : event.data.byteLength;
      program.receive(event.data);
    },
    down: ({ code, reason }) => {
      program.end();
      if (FINAL.includes(code)) {
        over = reason;
        showState("bad", over);
        stage.sound.listen(false);
        drawSound(false, false);
      } else if (FULL.includes(code)) {
        showState("wait", reason);
      } else {
        showState("wait", frames ? "Connection lost, reconnecting…" : "Cannot reach the program, trying again…");
      }
    },
    isFinal: ({ code }) => FINAL.includes(code),
  }, LONGEST_WAIT_MS);
  program.start();

  /** @param {boolean} on */
  const listen = async (on) => {
    await program.listen(on);
    drawSound(true, stage.sound.listening);
  };
  listenToControls(() => listen(!stage.sound.listening), (loudness) => stage.sound.setVolume(loudness));

  const opener = byId("talk-open", HTMLButtonElement);
  const ask = async () => (await api.ask("GET", "./watch/conversation")).json();
  talkPanel(opener, byId("talk"), { ask, connect: () => api.socket("watch/conversation"), sound: stage.sound, listen });
  ask().then(({ available }) => { opener.hidden = !available; }, () => {}); // without an answer the button stays hidden

  setInterval(() => {
    const came = stage.frames - frames;
    frames = stage.frames;
    if (frames && !over) {
      showProgram(canvas, true);
      drawSound(true, stage.sound.listening);
    }
    if (came && !over) showState("live", "Live");
    else if (program.socket && !over) showState("wait", "Waiting for the program…");
    const rate = `${canvas.width}×${canvas.height} · ${came} fps · ${Math.round(bytes * 8 / PERIOD_MS)} kbit/s`;
    showFigures(came ? rate : "");
    bytes = 0;
  }, PERIOD_MS);
  window.watched = { frames: () => stage.frames, shown: () => program.shown, sound: stage.sound };
}
