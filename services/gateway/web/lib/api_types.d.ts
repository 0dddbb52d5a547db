// Generated from the API's schema by `python -m services.gateway.api.types`; not edited by hand.

/**
 * Viewers by watch links. viewers: now. most: how many the studio allows over all links. bytes: sent to them
 * since the start. dropped: frames and sounds that they were too slow for. links: those that have not expired,
 * oldest first.
 */
export interface AudienceState {
  viewers: number;
  most: number;
  bytes: number;
  dropped: number;
  links: WatchLinkState[];
}

/** The avatar that was made. */
export interface AvatarName {
  name: string;
}

/**
 * An avatar, finished, damaged or being built. kind: of its plate. unavailable: why it cannot be used, "" where
 * it can. building: how far it is, null once it is finished.
 */
export interface AvatarRow {
  name: string;
  rights: string;
  kind: string;
  unavailable: string;
  building: BuildProgress | null;
}

/** How far an avatar's build is. stage: what is being done; done: the share of all of it, 0 to 1. */
export interface BuildProgress {
  stage: string;
  done: number;
}

/**
 * What room there is for sessions, for a load balancer in front of several studios. sessions: that run. free:
 * that can still be opened. busy: share of the processors' time that is taken, 0 to 1. session_cores: cores that
 * a session takes. reason: why there is no room, else "".
 */
export interface Capacity {
  sessions: number;
  free: number;
  busy: number;
  session_cores: number;
  reason: string;
}

/**
 * A sentence as it is heard. text: of an interrupted one as much as was heard. start, end: microseconds on the
 * channel clock of the first and after the last of its sound; end: null until it is known, which may be before
 * it is over.
 */
export interface Caption {
  id: string;
  text: string;
  start: number;
  end: number | null;
  state: "started" | "ended" | "interrupted";
}

/**
 * What the state socket sends in addition to the state, as soon as a caption begins, is over or has its end
 * known. The last captions, oldest first.
 */
export interface CaptionsMessage {
  captions: Caption[];
}

/**
 * Everything about the channel, now. on_air_state: its one state word. since: wall clock seconds at which that
 * began. started: wall clock seconds at which the gateway began. rate: program frames a second. sessions: null
 * where there may be none. log: events, oldest first.
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

/** The line is answered when its turn comes. waiting: lines before it. */
export interface ChatLineTaken {
  waiting: number;
}

/**
 * Whether outputs may leave the label out. right: what allows it; unavailable: why they may not, "" where they
 * may.
 */
export interface CleanFeed {
  right: string;
  unavailable: string;
}

/** Whether one can talk with the host. why: the reason where one cannot, else "". */
export interface Conversation {
  available: boolean;
  why: string;
  viewers_may_talk: boolean;
}

/** What went wrong, in a sentence; the host listens again. */
export interface ConversationError {
  type: "error";
  detail: string;
}

/** A line of the transcript, sent again with the same id while it grows. text: of the host what was heard. */
export interface ConversationLine {
  type: "line";
  id: string;
  role: "person" | "host";
  text: string;
  final: boolean;
}

/** The host listens, a person is speaking, the host looks for an answer, or gives it. */
export interface ConversationState {
  type: "state";
  state: "listening" | "hearing" | "thinking" | "speaking";
}

/**
 * What can drive. word: for the API. detail: what it is where its title does not say. unavailable: why it is not
 * available, "" where it can.
 */
export interface DriverRow {
  word: string;
  title: string;
  detail: string;
  unavailable: string;
}

/**
 * Delay of an engine that takes several frames at a time, as the generator's fact `delay` reports it. frames:
 * how many it takes at once. calls: in how many a frame passes its window. interval_ms: between driver frames.
 * call_ms: length of a call. ms: from motion to face; floor_ms: the least that this can be.
 */
export interface EngineDelay {
  frames: number;
  calls: number;
  interval_ms: number;
  call_ms: number;
  floor_ms: number;
  ms: number;
}

/** The quality that an engine is at: a value of its option "quality", and its title for people. */
export interface EngineQuality {
  name: string;
  title: string;
}

/**
 * An engine as the generator reports it. options: JSON schema of its options, flat, with what holds here as
 * defaults; the console's form is made from it. A string with an "enum" may have "titles" for its values. {}
 * where it has none. template_suffixes: how the names of the recorded motions end that it plays. modes: where it
 * can run, "live", "offline". terms: what it may be used for. unavailable: why it cannot run here, "" where it
 * can.
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
 * The engine on air. quality: the one it is at, null where it has no ladder of them. delay: from motion to face,
 * and what it cannot go below, null for an engine that takes its frames one by one. delay_history: milliseconds
 * over the last minute, oldest first.
 */
export interface EngineState {
  quality: EngineQuality | null;
  delay: EngineDelay | null;
  delay_history: number[];
}

/**
 * An event as pages show it. number: counts up, so that a page knows what it has shown. at: wall clock, seconds;
 * kind: info, warning or error.
 */
export interface Event {
  number: number;
  at: number;
  kind: string;
  text: string;
}

/**
 * The segment that hinders a job: its number from 1, how often it was begun, and why the last attempt failed.
 * unit: the name of a clip engine's unit, "" for a segment of frames.
 */
export interface FailingSegment {
  number: number;
  unit: string;
  attempts: number;
  reason: string;
}

/**
 * What to choose of an avatar's film. still: second to take as the portrait. exclude: parts not to show, FROM-TO
 * in seconds each. null leaves what was chosen before.
 */
export interface FilmChoices {
  still?: number | null;
  exclude?: string[] | null;
}

/**
 * All of `film.json`. frames, fps: of the film; the plate's own are more where there are cross-fades. still: the
 * frame that shows the face best, which a body without a portrait takes as one. closed_mouth: share of the
 * frames with a face whose mouth is at rest. sharpness: the median of the face's. kept, kept_bytes: name and
 * size of the source film in the avatar's folder, "" and 0 where it is not kept.
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

/** The files in the studio's inbox, newest first, and the folder it is. */
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
 * What a job would cost. frames: of the result. units: that workers do. seconds: on one device as this
 * machine's, null where that was not measured. memory: bytes of the device. disk: bytes in the jobs folder until
 * it is done. Null are these of an engine that does not know. lines: all of it in words, as `studio jobs submit
 * --dry-run` prints it.
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

/** A page of jobs, newest first, and how many there are by state. */
export interface JobPage {
  counts: Partial<Record<"queued" | "rendering" | "assembling" | "done" | "paused" | "cancelled" | "parked", number>>;
  jobs: JobRow[];
}

/** A job in a list. segments: how many it has. */
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
 * The jobs as the state socket sends them. counts: by state. rows: the newest, and those at work however old
 * they are. workers: null where that is not known. note: why there are no rows, or why they wait, else "".
 */
export interface JobsState {
  counts: Partial<Record<"queued" | "rendering" | "assembling" | "done" | "paused" | "cancelled" | "parked", number>>;
  rows: JobRow[];
  workers: WorkerCount | null;
  note: string;
}

/**
 * Where frame `first` follows frame `last`. fade: frames of a cross-fade between them. motion, change: the most
 * from one frame to the next, as in `Loop`.
 */
export interface Join {
  last: number;
  first: number;
  fade: number;
  motion: number;
  change: number;
}

/** The publication to LiveKit. unavailable: why there can be none, "" where there can. */
export interface LiveKitState {
  state: "off" | "connecting" | "live" | "reconnecting" | "failed";
  note: string;
  since: number;
  figures: Record<string, number>;
  room: string;
  unavailable: string;
}

/**
 * What is played, round and round: parts with a join between each two. closing: the join from the end of the
 * last to the beginning of the first; without it they are played to and fro. seam_motion, seam_change: the most
 * that happens from one frame to the next at a join or turn: the face's motion as a share of its size, and the
 * mean difference of the images in levels; `motion` and `change` are the 95th percentiles of the film's own
 * consecutive frames.
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

/** Frames `first` up to, without, `end`, played one after the other. */
export interface LoopPart {
  first: number;
  end: number;
}

/** Answer to a request for a new neutral face. neutral: how often the neutral face was retaken. */
export interface NeutralRetake {
  neutral: number;
}

/** Everything that the program goes to. */
export interface Outputs {
  preview: PreviewState;
  record: RecordState;
  livekit: LiveKitState;
  rtmp: RtmpState;
}

/** Size, rate, and where each frame of a plate begins in bytes, with the end of the last. */
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
 * The preview in browsers. bytes_per_second: cost of a viewer by mode, once measured, also for modes that are
 * not watched. dropped: frames and sounds that viewers were too slow for.
 */
export interface PreviewState {
  viewers: PreviewViewers;
  bytes_per_second: Partial<Record<"full" | "roi", number>>;
  sent: PreviewSent;
  dropped: number;
}

/** Browsers that watch, by the mode they are sent. */
export interface PreviewViewers {
  full: number;
  roi: number;
}

/**
 * The frame on air. width, height: 0 until there is one. avatar, state: as the compositor names them. age:
 * seconds since it came, null until one came. level: of the sound, 0 to 1. repeated: ticks for which an earlier
 * frame stood in. by_voice, by_template: whether a voice or recorded motion drives. voice_delay_ms: by how much
 * the program plays a voice later. stall: longest wait for a frame beyond its tick in the last ten seconds,
 * milliseconds. present: whether the driver shows a face, null where that is not known.
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

/** The recording. id: "" for one that the API cannot fetch. name: of its file. */
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

/** The recording that was begun. */
export interface RecordingStarted {
  id: string;
}

/** The recording is off. */
export interface RecordingStopped {
  state: "off";
}

/** Why a request was refused: one sentence with the way out. */
export interface Refusal {
  detail: string;
}

/** The RTMP push. address: without its secrets. unavailable: why there can be none, "" where there can. */
export interface RtmpState {
  state: "off" | "connecting" | "live" | "reconnecting" | "failed";
  note: string;
  since: number;
  figures: Record<string, number>;
  address: string;
  unavailable: string;
}

/**
 * What the operator wants to be on air. revision: counts up with every change; a service's pulse says which one
 * it has. on_air: whether the channel is on air; off air the program is the plate alone, without sound. options:
 * the engine's options by name; what is not among them is as the engine's settings say. driver: a driver's word,
 * see `shared.driver_ref`. loop: a file driver starts again at its end. label: the visible "AI-generated" label.
 * burn_captions: what is heard of texts is drawn into the frames that leave: recording, RTMP, LiveKit. neutral:
 * counts up each time the operator re-takes the neutral face. recording: path of the recording that should be
 * running, or "". rtmp: whether the program is pushed to the RTMP address of the settings. livekit: whether the
 * program is published to the LiveKit server of the settings. record_clean, rtmp_clean: that output takes the
 * frame without the label. driver_image: how much of the driver's image capture sends, a `DriverImage`: whole
 * for an engine that needs it, small for those who watch, or none. Not the operator's to choose: the gateway
 * says it with every scene that it sends.
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

/** Fields of the scene to change; what is left out stays. */
export interface ScenePatch {
  avatar?: string | null;
  engine?: string | null;
  /** options of the engine to change; null restores what the settings say */
  options?: Record<string, boolean | number | string | null> | null;
  /** short for the option "quality"; "" restores what the settings say */
  quality?: string | null;
  /** sample, browser, microphone, speech, camera:N, upload:ID, as-started, or an http(s)/rtsp(s) address */
  driver?: string | null;
  loop?: boolean | null;
  label?: boolean | null;
  /** draw what is heard of texts into recording, RTMP and LiveKit */
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
 * A segment of a job. attempts: how often its render was begun. done: of its ticks. reason: why the last attempt
 * failed, "" where none did. unit: the name of a clip engine's unit, which has steps for ticks; "" for a segment
 * of frames. words: its title, "" where it has none.
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
 * A service as the console shows it. state: its own word, or starting before its first pulse and recovering when
 * it is silent. fps: frames finished a second. p50, p95: milliseconds from the driver frame's capture until it
 * was done with its frame. drops: by reason, since it started. drop_rate, drop_rates: drops a second, in all and
 * by reason. age: seconds since it was heard, None before it was. rss: resident bytes.
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

/** A minute of a service, one entry a second, oldest first. */
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

/** All sessions, newest first; of those that have ended the last hundred. */
export interface SessionList {
  sessions: SessionStatus[];
}

/** A session that joins its room now. sample_rate: of the voice that suits it, Hz; it takes any from 8 to 96 kHz. */
export interface SessionOpened {
  session_id: string;
  sample_rate: number;
}

/**
 * A session. state: opening, connecting, live, reconnecting, failed or ended. note: what is wrong, one sentence,
 * else "". created: wall clock seconds; ended: likewise, null while it has not. figures: of its publication, by
 * name.
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
 * The sessions that run, as the console shows them. running: newest first. free: how many can still be opened.
 * reason: why there is no room, else "".
 */
export interface SessionsShown {
  running: SessionStatus[];
  free: number;
  reason: string;
}

/**
 * Frames between two cuts: `first` up to, without, `end`. like_before: whether its face looks like the one of
 * the shots before.
 */
export interface Shot {
  first: number;
  end: number;
  like_before: boolean;
}

/**
 * The speech queue. queue: what is being said and waits, in order. recent: the last that are over, newest first.
 * ran_dry: how often an utterance had no sound ready in its middle. lines: the sentences of texts that were
 * begun last, oldest first. saying: the sentence that is heard now, "" where it is none of a text.
 */
export interface SpeechState {
  queue: UtteranceRow[];
  recent: UtteranceRow[];
  ran_dry: number;
  lines: SpokenLine[];
  saying: string;
}

/**
 * A sentence of an utterance. start, end: microseconds on the channel clock at which the program plays the first
 * of it that can be heard and has played the last; None until they are known. words: their times are seconds
 * from `start`. cut: it was interrupted, and `end` is when. said: how much of the text until then, to the end of
 * a word, by the share of its sound; all of it where its length was not known yet.
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

/** A word as it is spoken. start, end: seconds from the beginning of what `speak` was given. */
export interface SpokenWord {
  text: string;
  start: number;
  end: number;
}

/** Frames `first` up to, without, `end`, of one kind. */
export interface Stretch {
  kind: "absent" | "other_person" | "covered" | "blurred" | "turned_away" | "talking" | "closed_mouth" | "excluded";
  first: number;
  end: number;
}

/** A text that is spoken by a voice; `voice` is one of GET /api/v1/voices, "" the studio's own choice. */
export interface TextToSay {
  text: string;
  voice?: string;
}

/** A ticket that fetches one file once without the token. */
export interface Ticket {
  ticket: string;
}

/**
 * How long an answer took, in milliseconds, from the last sound of the question to the first of the answer.
 * vad_ms: until it was known that the person had finished. speech_to_text_ms: until that was text. chat_ms:
 * until the first sentence of the answer was whole. voice_ms: until the program plays it. A typed question has
 * none of the first two.
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
 * One thing to say. seconds: of sound received so far. complete: whether that is all of it. note: what went
 * wrong with it, else "".
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
 * Version of the studio and the name of its channel. version: of the studio; channel: the name of its only
 * channel.
 */
export interface Version {
  version: string;
  channel: string;
}

/**
 * What a viewer needs to open the watch page. watch: path of the page, below a proxy's prefix, with the token in
 * its fragment; expires: wall clock seconds.
 */
export interface ViewerLink {
  url: string;
  room: string;
  identity: string;
  token: string;
  expires: number;
  watch: string;
}

/** How long a link can be opened; a viewer who has opened it may stay. */
export interface ViewerRequest {
  minutes?: number;
}

/**
 * A voice. chosen: it speaks where none is named. unavailable, command: why it cannot speak here and what helps,
 * else "".
 */
export interface VoiceRow {
  name: string;
  title: string;
  chosen: boolean;
  unavailable: string;
  command: string;
}

/** The voices, in the order in which one is looked for. note: how to get one where none can speak here, else "". */
export interface Voices {
  voices: VoiceRow[];
  note: string;
}

/**
 * A link to make. expires_s: seconds that it lasts. viewers: how many may watch by it at a time. talk: whether
 * they may talk with the host.
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
 * A watch link. label: the operator's, viewers do not see it. expires: wall clock seconds. viewers: how many it
 * allows at a time; watching: how many there are. talk: whether they may talk with the host.
 */
export interface WatchLinkState {
  id: string;
  label: string;
  expires: number;
  viewers: number;
  watching: number;
  talk: boolean;
}

/** How many workers live, how many of them are at work, and the engines that they can run. */
export interface WorkerCount {
  alive: number;
  at_work: number;
  engines: string[];
}
