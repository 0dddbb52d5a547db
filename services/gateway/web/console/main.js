// The console: token, sockets, and the panels drawn from the channel's state alone.

import { Api } from "../lib/api.js";
import { BrowserCamera } from "../driver/camera.js";
import { Clock } from "../lib/clock.js";
import { byId, write } from "../lib/elements.js";
import { listenToKeys } from "./keys.js";
import { BAD_TOKEN, keepOpen } from "../lib/reconnecting_socket.js";
import { avatars } from "./panels/avatars.js";
import { clean } from "./panels/clean_feed.js";
import { desk } from "./panels/program_controls.js";
import { drivers } from "./panels/drivers.js";
import { engines } from "./panels/engines.js";
import { headline } from "./panels/headline.js";
import { health } from "./panels/health.js";
import { jobs } from "./panels/jobs.js";
import { latency } from "./panels/latency.js";
import { livekit } from "./panels/livekit.js";
import { log } from "./panels/log.js";
import { outputs } from "./panels/outputs.js";
import { push } from "./panels/rtmp.js";
import { quality } from "./panels/quality.js";
import { recordings } from "./panels/recordings.js";
import { speech } from "./panels/speech.js";
import { Preview } from "../preview/preview.js";
import { ProgramSound } from "../preview/sound.js";
import { Stage } from "../preview/stage.js";
import { forgetToken, keepToken, takeToken } from "../lib/token.js";

const RETRY = 500;

/** @type {any} */
let state = null;
const current = () => state;

/** @param {string} token */
async function open(token) {
  const { channel } = await (await fetch("/api/v1/version")).json();
  const api = new Api(token, channel);
  await api.ask("GET", "/drivers"); // a wrong token is told here, before anything is drawn
  byId("token-form").hidden = true;
  byId("console").hidden = false;
  const stage = new Stage(byId("program"), new Clock(), new ProgramSound());
  const preview = new Preview(api, stage, byId("driver-picture"));
  const panels = [
    headline(api, current), avatars(api), engines(api), quality(api), drivers(api, new BrowserCamera(api)),
    desk(api, preview, current), speech(api), health(api), latency(stage), outputs(api, preview, current), recordings(api),
    livekit(api, current), push(api, current), clean(api, current), jobs(api), log,
  ];
  const draw = (linked) => { if (state?.channel) for (const panel of panels) panel(state, linked); };
  keepOpen(() => api.socket("state"), {
    message: (event) => {
      // Jobs come in messages of their own, when they have changed.
      state = { ...state, ...JSON.parse(event.data) };
      if (state.channel) draw(true);
    },
    down: (event) => {
      if (event.code === BAD_TOKEN) {
        forgetToken();
        askForToken("This token is not valid any more.");
      }
      draw(false);
    },
  });
  preview.start();
  listenToKeys(preview);
  // What tests and the curious may ask of this page.
  window.studio = {
    latency: () => stage.latency(),
    forget: () => { stage.latencies.length = 0; },
    frames: () => stage.frames,
    tick: () => stage.tick,
    shown: () => preview.shown,
  };
}

/** @param {string} reason */
function askForToken(reason) {
  byId("console").hidden = true;
  byId("token-form").hidden = false;
  write(byId("token-error"), reason);
}

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  try {
    await open(token);
    keepToken(token);
  } catch (error) {
    askForToken(error.message);
  }
});

const token = takeToken();
if (token) start();
else askForToken("");

/** A studio that is still starting is asked again; only a wrong token is asked for. */
async function start() {
  try {
    await open(token);
  } catch (error) {
    if (error.status === 401) forgetToken();
    if (error.status) askForToken(error.message);
    else setTimeout(start, RETRY);
  }
}
