// A socket that comes back by itself.

const FIRST_WAIT = 250;
const LONGEST_WAIT = 2000;
export const BAD_TOKEN = 4401;

/**
 * @param {() => WebSocket} open
 * @param {{message: (event: MessageEvent) => void, up?: (socket: WebSocket) => void,
 *   down?: (event: CloseEvent) => void}} on
 */
export function keepOpen(open, on) {
  let wait = FIRST_WAIT;
  const again = () => {
    const socket = open();
    socket.addEventListener("open", () => on.up?.(socket));
    socket.addEventListener("message", (event) => {
      wait = FIRST_WAIT;
      on.message(event);
    });
    socket.addEventListener("close", (event) => {
      on.down?.(event);
      if (event.code === BAD_TOKEN) return;
      setTimeout(again, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT);
    });
  };
  again();
}
