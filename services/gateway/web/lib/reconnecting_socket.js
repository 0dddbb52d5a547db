// A WebSocket that reconnects automatically.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 2000;
export const BAD_TOKEN = 4401;

/**
 * @param {() => WebSocket} connect
 * @param {{message: (event: MessageEvent) => void, up?: (socket: WebSocket) => void,
 *   down?: (event: CloseEvent) => void, isFinal?: (event: CloseEvent) => boolean}} on
 * @param {number} longest milliseconds between two attempts
 * @returns {() => void} closes it permanently
 */
export function keepOpen(connect, on, longest = LONGEST_WAIT_MS) {
  let wait = FIRST_WAIT_MS;
  let timer = 0;
  let ended = false;
  /** @type {WebSocket} */
  let socket;
  const again = () => {
    socket = connect();
    const opened = socket;
    socket.addEventListener("open", () => on.up?.(opened));
    socket.addEventListener("message", (event) => {
      if (ended) return;
      wait = FIRST_WAIT_MS;
      on.message(event);
    });
    socket.addEventListener("close", (event) => {
      if (ended) return;
      on.down?.(event);
      if (event.code === BAD_TOKEN || on.isFinal?.(event)) return;
      timer = setTimeout(again, wait * (0.75 + Math.random() / 2)); // random, so that many pages do not reconnect at the same moment
      wait = Math.min(wait * 2, longest);
    });
  };
  again();
  return () => {
    ended = true;
    clearTimeout(timer);
    socket.close();
  };
}
