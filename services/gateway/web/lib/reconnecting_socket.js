// A socket that comes back by itself.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 2000;
export const BAD_TOKEN = 4401;

/**
 * @param {() => WebSocket} connect
 * @param {{message: (event: MessageEvent) => void, up?: (socket: WebSocket) => void,
 *   down?: (event: CloseEvent) => void, isFinal?: (event: CloseEvent) => boolean}} on
 * @param {number} longest milliseconds between two attempts
 */
export function keepOpen(connect, on, longest = LONGEST_WAIT_MS) {
  let wait = FIRST_WAIT_MS;
  const again = () => {
    const socket = connect();
    socket.addEventListener("open", () => on.up?.(socket));
    socket.addEventListener("message", (event) => {
      wait = FIRST_WAIT_MS;
      on.message(event);
    });
    socket.addEventListener("close", (event) => {
      on.down?.(event);
      if (event.code === BAD_TOKEN || on.isFinal?.(event)) return;
      setTimeout(again, wait * (0.75 + Math.random() / 2)); // many who lost it together do not come back at once
      wait = Math.min(wait * 2, longest);
    });
  };
  again();
}
