// Types that TypeScript does not know: globals of the audio thread, hooks for tests, and the console's state.

import type { ChannelState, JobsState } from "./api_types.js";

/** Latencies of the frames of the last minute, milliseconds. */
export interface LatencyFigures {
  median: number;
  p95: number;
  count: number;
}

/** The channel's state with its jobs, once they were received. */
export type State = ChannelState & { jobs?: JobsState };

/** The value of an engine's option. */
export type OptionValue = boolean | number | string;

/** Options to change; null restores the default. */
export type OptionChanges = Record<string, OptionValue | null>;

/** One option in the JSON schema of an engine: flat, with a default. titles: display names of an enum's values. */
export interface OptionSchema {
  type: "boolean" | "integer" | "number" | "string";
  title?: string;
  description?: string;
  default: OptionValue;
  enum?: string[];
  titles?: Record<string, string>;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
}

/** Draws a part of the page. linked: whether the state socket is open. */
export type Panel = (state: State, linked: boolean) => void;

declare global {
  interface Window {
    /** Hooks for tests and debugging of the console. */
    studio: {
      latency: () => LatencyFigures | null;
      forget: () => void;
      frames: () => number;
      tick: () => number;
      shown: () => string;
    };
  }

  interface Window {
    /** Hooks for tests of the page for watching by a link. */
    watched: {
      frames: () => number;
      shown: () => string;
      sound: import("../preview/sound.js").ProgramSound;
    };
  }

  class AudioWorkletProcessor {
    readonly port: MessagePort;
  }

  /** Global of the audio thread. */
  const sampleRate: number;

  function registerProcessor(name: string, processor: new (options: { processorOptions: any }) => AudioWorkletProcessor): void;
}
