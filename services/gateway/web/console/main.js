// The console: token, sockets, and the panels, which are drawn from the channel's state only.

import { addressOf } from "../lib/address.js";
import { Api, RefusedError } from "../lib/api.js";
import { BrowserCamera } from "../driver/camera.js";
import { Clock } from "../lib/clock.js";
import { byId, messageOf, setText } from "../lib/elements.js";
import { listenToKeys } from "./keys.js";
import { BAD_TOKEN, keepOpen } from "../lib/reconnecting_socket.js";
import { audience } from "./panels/outputs/audience.js";
import { avatars } from "./panels/avatars.js";
import { cleanFeed } from "./panels/outputs/clean_feed.js";
import { drivers } from "./panels/drivers.js";
import { engines } from "./panels/engines.js";
import { headline } from "./panels/headline.js";
import { health } from "./panels/health.js";
import { jobs } from "./panels/jobs/jobs.js";
import { latency } from "./panels/latency.js";
import { livekit } from "./panels/outputs/livekit.js";
import { log } from "./panels/log.js";
import { options } from "./panels/options.js";
import { outputs } from "./panels/outputs/outputs.js";
import { programControls } from "./panels/program_controls.js";
import { recordings } from "./panels/outputs/recordings.js";
import { say } from "./panels/say/say.js";
import { rtmp } from "./panels/outputs/rtmp.js";
import { sessions } from "./panels/outputs/sessions.js";
import { speech } from "./panels/speech.js";
import { CaptionLine } from "../preview/captions.js";
import { Preview } from "../preview/preview.js";
import { ProgramSound } from "../preview/sound.js";
import { Stage } from "../preview/stage.js";
import { talkPanel } from "../talk/talk.js";
import { forgetToken, keepToken, readToken } from "../lib/token.js";

/** @typedef {import("../lib/globals.js").State} State */

const RETRY_MS = 500;

/** The newest value of each part of the state; empty until the first message. @type {Partial<State>} */
let received = {};

/** @param {Partial<State>} state @returns {state is State} */
const isWhole = (state) => state.channel !== undefined;

/** The channel's newest state; throws an error that asks the operator to try again before the first message. */
function current() {
  if (!isWhole(received)) throw new Error("The console is still connecting. Try again in a moment.");
  return received;
}

/** @param {string} token */
async function openConsole(token) {
  /** @type {import("../lib/api_types.js").Version} */
  const { channel } = await (await fetch(addressOf("/api/v1/version"))).json();
  const api = new Api(token, channel);
  await api.ask("GET", "/drivers"); // a wrong token is refused here, before anything is drawn
  byId("token-form").hidden = true;
  byId("console").hidden = false;
  const stage = new Stage(byId("program", HTMLCanvasElement), new Clock(), new ProgramSound());
  const captions = new CaptionLine(byId("caption"), byId("captions", HTMLButtonElement));
  const preview = new Preview(api, stage, captions, byId("driver-frame", HTMLCanvasElement));
  /** @type {import("../lib/globals.js").Panel[]} */
  const panels = [
    headline(api, current), avatars(api), engines(api), options(api), drivers(api, new BrowserCamera(api)),
    programControls(api, preview, current), speech(api), say(api), health(api), latency(stage), outputs(api, preview, current),
    recordings(api), livekit(api, current), rtmp(api, current), cleanFeed(api, current), audience(api), sessions(api), jobs(api), log,
  ];
  /** @param {boolean} linked */
  const draw = (linked) => {
    const state = received;
    if (isWhole(state)) for (const panel of panels) panel(state, linked);
  };
  let opened = false;
  keepOpen(() => api.socket("state"), {
    up: () => { opened = true; },
    message: (event) => {
      /** @type {import("../lib/api_types.js").ChannelState | import("../lib/api_types.js").JobsMessage | import("../lib/api_types.js").CaptionsMessage} */
      const message = JSON.parse(event.data); // jobs and captions arrive in separate messages, when they have changed
      received = { ...received, ...message };
      draw(true);
    },
    down: (event) => {
      if (event.code === BAD_TOKEN) {
        forgetToken();
        askForToken("This token is no longer valid.");
      }
      draw(false);
      if (!opened) api.whyNoSocket().then((why) => setText(byId("link"), why));
    },
  });
  preview.start();
  talkPanel(byId("talk-open", HTMLButtonElement), byId("talk"), {
    ask: async () => (await api.ask("GET", "./conversation")).json(),
    connect: () => api.socket("conversation"),
    sound: stage.sound,
    listen: (on) => preview.listen(on),
  });
  listenToKeys(preview);
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
  setText(byId("token-error"), reason);
}

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = byId("token", HTMLInputElement).value.trim();
  try {
    await openConsole(token);
    keepToken(token);
  } catch (error) {
    askForToken(messageOf(error));
  }
});

const token = readToken();
if (token) start();
else askForToken("");

/** Open the console. Retry while the studio is starting; ask the operator for a token only if the studio refuses. */
async function start() {
  try {
    await openConsole(token);
  } catch (error) {
    if (!(error instanceof RefusedError)) {
      setTimeout(start, RETRY_MS);
      return;
    }
    if (error.status === 401) forgetToken();
    askForToken(error.message);
  }
}
