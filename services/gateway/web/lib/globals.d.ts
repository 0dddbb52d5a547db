// What TypeScript does not know of the pages: the audio thread's names, what tests may ask, and the console's state.

import type { ChannelState, JobsState } from "./api_types.js";

/** A frame's latencies of the last minute, milliseconds. */
export interface LatencyFigures {
  median: number;
  p95: number;
  count: number;
}

/** The channel's state with its jobs, once they have come. */
export type State = ChannelState & { jobs?: JobsState };

/** What an engine's option is set to. */
export type OptionValue = boolean | number | string;

/** Options to set; null goes back to the default. */
export type OptionChanges = Record<string, OptionValue | null>;

/** One option in the JSON schema of an engine: flat, with a default. titles: what people read for the values of an enum. */
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
    /** What tests and the curious may ask of the console. */
    studio: {
      latency: () => LatencyFigures | null;
      forget: () => void;
      frames: () => number;
      tick: () => number;
      shown: () => string;
    };
  }

  interface Window {
    /** What tests may ask of the page of who watches by a link. */
    watched: {
      frames: () => number;
      shown: () => string;
      sound: import("../preview/sound.js").ProgramSound;
    };
  }

  class AudioWorkletProcessor {
    readonly port: MessagePort;
  }

  /** Of the audio thread. */
  const sampleRate: number;

  function registerProcessor(name: string, processor: new (options: { processorOptions: any }) => AudioWorkletProcessor): void;
}
