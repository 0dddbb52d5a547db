// Generated from the API's schema by `python -m services.gateway.api.types`; not edited by hand.

/**
 * Viewers by watch links. viewers: current number. most: highest number that the studio allows for all links.
 * bytes: sent to viewers since the start. dropped: frames and sounds that viewers were too slow for. links:
 * those that have not expired, oldest first.
 */
export interface AudienceState {
  viewers: number;
  most: number;
  bytes: number;
  dropped: number;
  links: WatchLinkState[];
}

/** The name of the avatar that was built. */
export interface AvatarName {
  name: string;
}

/**
 * An avatar, finished, damaged or being built. kind: the plate's kind. unavailable: why the avatar cannot be
 * used, "" if it can. building: progress of the build, null once it is finished.
 */
export interface AvatarRow {
  name: string;
  rights: string;
  kind: string;
  unavailable: string;
  building: BuildProgress | null;
}

/** Progress of an avatar's build. stage: the current step. done: finished share of the whole build, 0 to 1. */
export interface BuildProgress {
  stage: string;
  done: number;
}

/**
 * Capacity for sessions, for a load balancer in front of several studios. sessions: number running. free: number
 * that can still be opened. busy: share of the processors' time in use, 0 to 1. session_cores: cores that one
 * session takes. reason: why no more can be opened, else "".
 */
export interface Capacity {
  sessions: number;
  free: number;
  busy: number;
  session_cores: number;
  reason: string;
}

/**
 * A spoken sentence. text: if it was interrupted, only the part that was heard. start, end: microseconds on the
 * channel clock at which its sound begins and ends; end is null until it is known, which may be before the
 * sentence is over.
 */
export interface Caption {
  id: string;
  text: string;
  start: number;
  end: number | null;
  state: "started" | "ended" | "interrupted";
}

/**
 * Message of the state socket with the last captions, oldest first. It is sent when a caption begins, ends, or
 * the time of its end becomes known.
 */
export interface CaptionsMessage {
  captions: Caption[];
}

/**
 * The channel's current state. on_air_state: the channel's state word. since: wall clock seconds at which that
 * state began. started: wall clock seconds at which the gateway started. rate: program frames a second.
 * sessions: null if sessions are off. log: events, oldest first.
 */
export interface ChannelState {
  channel: string;
  on_air_state: "ON AIR" | "IDLE" | "STARTING" | "RECOVERING" | "OFF";
  since: number;
  started: number;
  rate: number;
  scene: Scene;
  avatars: AvatarRow[];
  engines: EngineRow[];
  engine: EngineState;
  drivers: DriverRow[];
  services: Services;
  program: ProgramState;
  speech: SpeechState;
  outputs: Outputs;
  clean_feed: CleanFeed;
  sessions: SessionsShown | null;
  audience: AudienceState;
  log: Event[];
}

/** A line of a livestream's chat. */
export interface ChatLine {
  author?: string;
  text: string;
}

/** The line was queued for an answer. waiting: number of lines before it. */
export interface ChatLineTaken {
  waiting: number;
}

/**
 * Whether outputs may omit the label. right: the stated right. unavailable: why outputs may not omit the label,
 * "" if they may.
 */
export interface CleanFeed {
  right: string;
  unavailable: string;
}

/** Whether it is possible to talk with the host. why: the reason if not, else "". */
export interface Conversation {
  available: boolean;
  why: string;
  viewers_may_talk: boolean;
}

/** An error, in one sentence; the conversation continues. */
export interface ConversationError {
  type: "error";
  detail: string;
}

/**
 * A line of the transcript, sent again with the same id while it grows. text: for the host, the part that was
 * heard.
 */
export interface ConversationLine {
  type: "line";
  id: string;
  role: "person" | "host";
  text: string;
  final: boolean;
}

/**
 * State of the conversation. state: listening, hearing (a person is speaking), thinking (an answer is awaited)
 * or speaking.
 */
export interface ConversationState {
  type: "state";
  state: "listening" | "hearing" | "thinking" | "speaking";
}

/**
 * A driver that can be chosen. word: for the scene's `driver`. detail: kind of the driver, if the title does not
 * show it. unavailable: why it is not available, "" if it is.
 */
export interface DriverRow {
  word: string;
  title: string;
  detail: string;
  unavailable: string;
}

/**
 * Delay of an engine that takes several frames at a time, as the generator's fact `delay` reports it. frames:
 * driver frames per call. calls: calls until a frame has left the model's window. interval_ms: time between
 * driver frames. call_ms: duration of a call. ms: from motion to face. floor_ms: the lower bound of ms.
 */
export interface EngineDelay {
  frames: number;
  calls: number;
  interval_ms: number;
  call_ms: number;
  floor_ms: number;
  ms: number;
}

/** The current quality of an engine: a value of its option "quality", and its title. */
export interface EngineQuality {
  name: string;
  title: string;
}

/**
 * An engine as the generator reports it. options: JSON schema of the engine's options, flat, with this machine's
 * settings as defaults; the console's form is made from it. A string with an "enum" may have "titles" for its
 * values. {} if there are no options. template_suffixes: file suffixes of the recorded motion that the engine
 * plays. modes: "live", "offline". terms: what the engine may be used for. unavailable: why it cannot run here,
 * "" if it can.
 */
export interface EngineRow {
  name: string;
  title: string;
  options: Record<string, unknown>;
  modes: string[];
  template_suffixes: string[];
  terms: string;
  unavailable: string;
}

/**
 * The engine on air. quality: the current one, null if the engine has no qualities. delay: null for an engine
 * that takes frames one at a time. delay_history: milliseconds over the last minute, oldest first.
 */
export interface EngineState {
  quality: EngineQuality | null;
  delay: EngineDelay | null;
  delay_history: number[];
}

/**
 * An event as pages show it. number: increases with each event, so that a page knows which events it has shown.
 * at: wall clock seconds. kind: info, warning or error.
 */
export interface Event {
  number: number;
  at: number;
  kind: string;
  text: string;
}

/**
 * The segment that holds up a job: its number from 1, the number of attempts, and why the last one failed. unit:
 * the name of a clip engine's unit, "" for a segment of frames.
 */
export interface FailingSegment {
  number: number;
  unit: string;
  attempts: number;
  reason: string;
}

/**
 * A choice of still and excluded parts for an avatar's film. still: second of the film to use as the portrait.
 * exclude: parts not to use, each FROM-TO in seconds. null keeps the earlier choice.
 */
export interface FilmChoices {
  still?: number | null;
  exclude?: string[] | null;
}

/**
 * The content of `film.json`. frames, fps: the film's number of frames and frame rate; the plate has more frames
 * if there are cross-fades. still: number of the frame that shows the face best, which is the portrait of a body
 * without one. closed_mouth: share of the frames with a face whose mouth is at rest. sharpness: median of the
 * face's sharpness. kept, kept_bytes: name and size of the source film in the avatar's folder, "" and 0 if it is
 * not stored.
 */
export interface FilmReport {
  schema: 1;
  frames: number;
  fps: number;
  shots: Shot[];
  stretches: Stretch[];
  loop: Loop;
  still: number;
  closed_mouth: number;
  sharpness: number;
  kept: string;
  kept_bytes: number;
}

/** The files in the studio's inbox, newest first, and the path of the folder. */
export interface Inbox {
  folder: string;
  files: InboxFile[];
}

/** A file in the inbox. modified: wall clock seconds. */
export interface InboxFile {
  name: string;
  bytes: number;
  modified: number;
}

/** Ids of the utterances that were dropped. */
export interface Interrupted {
  interrupted: string[];
}

/**
 * What a job would cost. frames: number of frames of the result. units: number of units. seconds: time on one
 * device like this machine's, null if not measured. memory: bytes of device memory. disk: bytes in the jobs
 * folder until the job is done. All three are null if the engine gives no estimate. lines: the same in words, as
 * `studio jobs submit --dry-run` prints it.
 */
export interface JobCostAnswer {
  frames: number;
  units: number;
  seconds: number | null;
  memory: number | null;
  disk: number | null;
  lines: string[];
}

/** A job with its segments, one by one. */
export interface JobDetail {
  id: string;
  state: "queued" | "rendering" | "assembling" | "done" | "paused" | "cancelled" | "parked";
  reason: string;
  kind: string;
  avatar: string;
  engine: string;
  driver: string;
  priority: string;
  created: number;
  done: number;
  total: number;
  steps: string;
  percent: number;
  fps: number;
  eta: number | null;
  strip: string;
  failing: FailingSegment | null;
  preview: string;
  result: string;
  bytes: number;
  captions: string;
  notes: string[];
  segments: SegmentStatus[];
}

/** A page of jobs, newest first, and the number of jobs by state. */
export interface JobPage {
  counts: Partial<Record<"queued" | "rendering" | "assembling" | "done" | "paused" | "cancelled" | "parked", number>>;
  jobs: JobRow[];
}

/** A job in a list. segments: number of its segments. */
export interface JobRow {
  id: string;
  state: "queued" | "rendering" | "assembling" | "done" | "paused" | "cancelled" | "parked";
  reason: string;
  kind: string;
  avatar: string;
  engine: string;
  driver: string;
  priority: string;
  created: number;
  done: number;
  total: number;
  steps: string;
  percent: number;
  fps: number;
  eta: number | null;
  strip: string;
  failing: FailingSegment | null;
  preview: string;
  result: string;
  bytes: number;
  captions: string;
  notes: string[];
  segments: number;
}

/** A message of the state socket: the jobs, when they have changed. */
export interface JobsMessage {
  jobs: JobsState;
}

/**
 * The jobs as the state socket sends them. counts: jobs by state. rows: the newest jobs, and all active ones.
 * workers: null if unknown. note: why there are no rows, or why jobs wait, else "".
 */
export interface JobsState {
  counts: Partial<Record<"queued" | "rendering" | "assembling" | "done" | "paused" | "cancelled" | "parked", number>>;
  rows: JobRow[];
  workers: WorkerCount | null;
  note: string;
}

/**
 * A place where frame `first` is played after frame `last`. fade: number of cross-fade frames between them.
 * motion, change: largest values from one frame to the next, as in `Loop`.
 */
export interface Join {
  last: number;
  first: number;
  fade: number;
  motion: number;
  change: number;
}

/** The publication to LiveKit. unavailable: why publishing is not possible, "" if it is. */
export interface LiveKitState {
  state: "off" | "connecting" | "live" | "reconnecting" | "failed";
  note: string;
  since: number;
  figures: Record<string, number>;
  room: string;
  unavailable: string;
}

/**
 * The loop that is played: parts, with a join between each two. closing: the join from the end of the last part
 * to the beginning of the first; without it the parts are played forwards and backwards. seam_motion,
 * seam_change: largest step from one frame to the next at a join or turn: motion of the face as a share of its
 * size, and mean difference of the images in levels. motion, change: 95th percentiles of these steps between
 * consecutive frames of the film.
 */
export interface Loop {
  parts: LoopPart[];
  joins: Join[];
  closing: Join | null;
  seam_motion: number;
  seam_change: number;
  motion: number;
  change: number;
}

/** Frames that are played in sequence, from `first` up to but not including `end`. */
export interface LoopPart {
  first: number;
  end: number;
}

/** Answer to a request for a new neutral face. neutral: number of times that the neutral face was retaken. */
export interface NeutralRetake {
  neutral: number;
}

/** The outputs of the program. */
export interface Outputs {
  preview: PreviewState;
  record: RecordState;
  livekit: LiveKitState;
  rtmp: RtmpState;
}

/** Frame size and rate of a plate, and the byte offset of each frame, with the end of the last. */
export interface PlateIndex {
  width: number;
  height: number;
  fps: number;
  starts: number[];
}

/** Bytes sent to browsers since the start. */
export interface PreviewSent {
  full: number;
  roi: number;
  sound: number;
  driver: number;
}

/**
 * The preview in browsers. bytes_per_second: data rate per viewer by mode, once measured, also for modes without
 * viewers. dropped: frames and sounds that viewers were too slow for.
 */
export interface PreviewState {
  viewers: PreviewViewers;
  bytes_per_second: Partial<Record<"full" | "roi", number>>;
  sent: PreviewSent;
  dropped: number;
}

/** Number of consoles that show the preview, by mode. */
export interface PreviewViewers {
  full: number;
  roi: number;
}

/**
 * The frame on air. width, height: 0 before the first frame. avatar, state: as the compositor reports them. age:
 * seconds since the last frame, null before the first. level: peak of the sound, 0 to 1. repeated: ticks for
 * which the last frame was repeated. by_voice, by_template: whether a voice or recorded motion is the driver.
 * voice_delay_ms: delay of the voice in the program. stall: longest wait for a frame beyond its tick in the last
 * ten seconds, milliseconds. present: whether the driver shows a face, null if unknown.
 */
export interface ProgramState {
  width: number;
  height: number;
  avatar: string;
  state: string;
  age: number | null;
  level: number;
  repeated: number;
  by_voice: boolean;
  by_template: boolean;
  voice_delay_ms: number;
  stall: number;
  present: boolean | null;
}

/** The recording. id: "" if the API cannot serve it. name: file name. */
export interface RecordState {
  state: "off" | "connecting" | "live" | "reconnecting" | "failed";
  note: string;
  since: number;
  figures: Record<string, number>;
  id: string;
  name: string;
}

/** A recording made from the console. modified: wall clock seconds. captions: whether a text was spoken in it. */
export interface RecordingRow {
  id: string;
  bytes: number;
  modified: number;
  captions: boolean;
}

/** The recording that was started. */
export interface RecordingStarted {
  id: string;
}

/** The recording is off. */
export interface RecordingStopped {
  state: "off";
}

/** Why a request was refused: one sentence that also says what to do. */
export interface Refusal {
  detail: string;
}

/** The RTMP push. address: without its secrets. unavailable: why pushing is not possible, "" if it is. */
export interface RtmpState {
  state: "off" | "connecting" | "live" | "reconnecting" | "failed";
  note: string;
  since: number;
  figures: Record<string, number>;
  address: string;
  unavailable: string;
}

/**
 * The wanted state of a channel, as the operator sets it. revision: counts up with every change; a service's
 * pulse reports the revision that it has applied. on_air: whether the channel is on air; off air the program is
 * the plate alone, without sound. avatar, engine: their names. driver: a driver's word, see `shared.driver_ref`.
 * loop: whether a file driver starts again at its end. label: whether outputs draw the visible "AI-generated"
 * label. burn_captions: whether captions of spoken texts are drawn into the frames of the recording, RTMP and
 * LiveKit. muted: whether the program is without sound. neutral: counts up each time the operator takes the
 * driver's neutral face again. recording: path of the recording that should be running, or "". rtmp: whether the
 * program is pushed to the RTMP address of the settings. livekit: whether the program is published to the
 * LiveKit server of the settings. record_clean, rtmp_clean: whether the recording or RTMP output omits the
 * label. options: the engine's options by name; the engine's settings apply to all others. driver_image: how
 * much of the driver's image capture sends, a `DriverImage`: whole for an engine that needs the image, small for
 * a preview, or none. The gateway sets it in every scene that it sends; the operator does not.
 */
export interface Scene {
  revision: number;
  on_air: boolean;
  avatar: string;
  engine: string;
  driver: string;
  loop: boolean;
  label: boolean;
  burn_captions: boolean;
  muted: boolean;
  neutral: number;
  recording: string;
  rtmp: boolean;
  livekit: boolean;
  record_clean: boolean;
  rtmp_clean: boolean;
  options: Record<string, boolean | number | string>;
  driver_image: string;
}

/** Fields of the scene to change; omitted fields keep their values. */
export interface ScenePatch {
  avatar?: string | null;
  engine?: string | null;
  /** options of the engine to change; null restores the value in the settings */
  options?: Record<string, boolean | number | string | null> | null;
  /** short for the option "quality"; "" restores the value in the settings */
  quality?: string | null;
  /** sample, browser, microphone, speech, camera:N, upload:ID, as-started, or an http(s)/rtsp(s) address */
  driver?: string | null;
  loop?: boolean | null;
  label?: boolean | null;
  /** draw captions of spoken texts into recording, RTMP and LiveKit */
  burn_captions?: boolean | null;
  muted?: boolean | null;
  on_air?: boolean | null;
  livekit?: boolean | null;
  /** push to the RTMP address of the settings */
  rtmp?: boolean | null;
  /** record without the label; needs clean_feed_right */
  record_clean?: boolean | null;
  /** push without the label; needs clean_feed_right */
  rtmp_clean?: boolean | null;
}

/**
 * A segment of a job. attempts: number of times its rendering was begun. done: number of its ticks that are
 * done. reason: why the last attempt failed, "" if none did. unit: name of a clip engine's unit, whose ticks are
 * steps; "" for a segment of frames. words: its title, "" if it has none.
 */
export interface SegmentStatus {
  number: number;
  state: "waiting" | "following" | "rendering" | "done" | "parked";
  attempts: number;
  ticks: number;
  done: number;
  reason: string;
  unit: string;
  words: string;
}

/**
 * A service as the console shows it. state: as the service reports it; starting before its first pulse;
 * recovering while it sends none. fps: frames finished a second. p50, p95: milliseconds from the capture of the
 * driver frame until the service finished its frame. drops: by reason, since the service started. drop_rate:
 * drops a second in total; drop_rates: by reason. age: seconds since its last pulse, null before the first. rss:
 * resident bytes.
 */
export interface ServiceHealth {
  state: string;
  fps: number;
  p50: number;
  p95: number;
  drops: Record<string, number>;
  drop_rate: number;
  drop_rates: Record<string, number>;
  note: string;
  age: number | null;
  rss: number;
  pid: number;
  history: ServiceHistory;
}

/** A minute of a service's figures, one entry a second, oldest first. */
export interface ServiceHistory {
  fps: number[];
  p50: number[];
  p95: number[];
}

/** Every service of the channel. */
export interface Services {
  capture: ServiceHealth;
  generator: ServiceHealth;
  compositor: ServiceHealth;
  gateway: ServiceHealth;
}

/** The running sessions and the last hundred ended ones, newest first. */
export interface SessionList {
  sessions: SessionStatus[];
}

/** A session that is joining its room. sample_rate: preferred rate of the voice, Hz; 8 to 96 kHz are accepted. */
export interface SessionOpened {
  session_id: string;
  sample_rate: number;
}

/**
 * A session. state: opening, connecting, live, reconnecting, failed or ended. note: what is wrong, one sentence,
 * else "". created, ended: wall clock seconds; ended is null while the session runs. figures: statistics of its
 * publication, by name.
 */
export interface SessionStatus {
  session_id: string;
  state: string;
  note: string;
  avatar: string;
  engine: string;
  width: number;
  height: number;
  label: boolean;
  livekit_url: string;
  avatar_identity: string;
  agent_identity: string;
  created: number;
  ended: number | null;
  figures: Record<string, number>;
}

/**
 * The running sessions, as the console shows them. running: newest first. free: number that can still be opened.
 * reason: why no more can be opened, else "".
 */
export interface SessionsShown {
  running: SessionStatus[];
  free: number;
  reason: string;
}

/**
 * Frames between two cuts, from `first` up to but not including `end`. like_before: whether its face looks like
 * the face of the shots before.
 */
export interface Shot {
  first: number;
  end: number;
  like_before: boolean;
}

/**
 * The speech queue. queue: the current and the waiting utterances, in order. recent: the last ones that ended or
 * were interrupted, newest first. ran_dry: how often an utterance had no sound ready in its middle. lines: the
 * newest sentences of spoken texts, oldest first. saying: the sentence that is heard now, "" for silence and for
 * speech without a text.
 */
export interface SpeechState {
  queue: UtteranceRow[];
  recent: UtteranceRow[];
  ran_dry: number;
  lines: SpokenLine[];
  saying: string;
}

/**
 * A sentence of an utterance. start, end: microseconds on the channel clock at which the program begins to play
 * the audible part and has played it; null until known. words: times are seconds from `start`. cut: whether it
 * was interrupted, at `end`. said: if cut, the text up to the word spoken at that time, estimated from the share
 * of its sound; all of the text if its length was not known yet.
 */
export interface SpokenLine {
  id: string;
  utterance: string;
  text: string;
  words: SpokenWord[];
  start: number | null;
  end: number | null;
  cut: boolean;
  said: string;
}

/** A spoken word. start, end: seconds from the beginning of the text given to `speak`. */
export interface SpokenWord {
  text: string;
  start: number;
  end: number;
}

/** Frames of one kind, from `first` up to but not including `end`. */
export interface Stretch {
  kind: "absent" | "other_person" | "covered" | "blurred" | "turned_away" | "talking" | "closed_mouth" | "excluded";
  first: number;
  end: number;
}

/** A text to speak. voice: a name of GET /api/v1/voices, "" for the studio's default. */
export interface TextToSay {
  text: string;
  voice?: string;
}

/** A ticket for downloading one file once without the token. */
export interface Ticket {
  ticket: string;
}

/**
 * How long an answer took, in milliseconds, from the last sound of the question to the first of the answer.
 * vad_ms: until the end of the question was detected. speech_to_text_ms: from then until it was transcribed.
 * chat_ms: from then until the first sentence of the answer was complete. voice_ms: from then until the program
 * played it. The first two are 0 for a typed question.
 */
export interface TurnLatency {
  type: "latency";
  vad_ms: number;
  speech_to_text_ms: number;
  chat_ms: number;
  voice_ms: number;
  total_ms: number;
}

/** An uploaded driver: its id, and its word for the scene. */
export interface UploadedDriver {
  id: string;
  driver: string;
}

/**
 * An utterance. seconds: length of the sound received so far. complete: whether that is all of it. note: what
 * went wrong with it, else "".
 */
export interface UtteranceRow {
  id: string;
  title: string;
  state: "queued" | "started" | "ended" | "interrupted";
  seconds: number;
  complete: boolean;
  note: string;
}

/**
 * Version of the studio and the name of its channel. version: the studio's version. channel: the name of its
 * only channel.
 */
export interface Version {
  version: string;
  channel: string;
}

/**
 * Link to the watch page, with the token and the room's address. watch: path of the page, below a proxy's
 * prefix, with the token in its fragment; expires: wall clock seconds.
 */
export interface ViewerLink {
  url: string;
  room: string;
  identity: string;
  token: string;
  expires: number;
  watch: string;
}

/** A link to make. minutes: how long it can be opened; a viewer who has opened it may stay longer. */
export interface ViewerRequest {
  minutes?: number;
}

/**
 * A voice. chosen: whether it is the default. unavailable, command: why it is not available here and the command
 * that helps, else "".
 */
export interface VoiceRow {
  name: string;
  title: string;
  chosen: boolean;
  unavailable: string;
  command: string;
}

/** The voices, in the order in which the default is chosen. note: how to get one if none is available, else "". */
export interface Voices {
  voices: VoiceRow[];
  note: string;
}

/**
 * A link to make. expires_s: lifetime in seconds. viewers: highest number at a time. talk: whether viewers may
 * talk with the host.
 */
export interface WatchLinkRequest {
  /** for the operator; viewers do not see it */
  label?: string;
  expires_s?: number;
  viewers?: number;
  talk?: boolean;
}

/** A link with its address. url: path of the page, below a proxy's prefix, with the token in its fragment. */
export interface WatchLinkRow {
  id: string;
  label: string;
  expires: number;
  viewers: number;
  watching: number;
  talk: boolean;
  url: string;
}

/**
 * A watch link. label: for the operator; viewers do not see it. expires: wall clock seconds. viewers: highest
 * number at a time. watching: current number. talk: whether viewers may talk with the host.
 */
export interface WatchLinkState {
  id: string;
  label: string;
  expires: number;
  viewers: number;
  watching: number;
  talk: boolean;
}

/** Number of live workers, number of busy ones, and the engines that they can run. */
export interface WorkerCount {
  alive: number;
  at_work: number;
  engines: string[];
}
