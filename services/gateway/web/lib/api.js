// Requests to the HTTP API, with the token in a header; errors have the server's sentence.

import { addressOf, socketAddressOf } from "./address.js";
import { element } from "./elements.js";

/** A request that the studio refused, with the sentence for the operator. */
export class RefusedError extends Error {
  /** @param {string} message @param {number} status of HTTP */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The sentence of a refusal. @param {unknown} answer its JSON; the studio's always has a sentence, a proxy's may not
 * @param {number} status of HTTP */
function refusalOf(answer, status) {
  const detail = answer && typeof answer === "object" && "detail" in answer ? answer.detail : undefined;
  return typeof detail === "string" ? detail
    : `A proxy in front of the studio refused this request (${status}). See docs/proxy.md for the settings it needs.`;
}

export class Api {
  /** @param {string} token @param {string} channel */
  constructor(token, channel) {
    this.token = token;
    this.channel = channel;
  }

  /**
   * @param {string} method
   * @param {string} path below /api/v1, or below the channel when it begins with "./"
   * @param {object | FormData | null} body
   * @returns {Promise<Response>} rejects with an Error whose message is for the operator
   */
  async ask(method, path, body = null) {
    const url = addressOf(path.startsWith("./") ? `/api/v1/channels/${this.channel}/${path.slice(2)}` : `/api/v1${path}`);
    /** @type {Record<string, string>} */
    const headers = { Authorization: `Bearer ${this.token}` };
    if (body && !(body instanceof FormData)) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(url, { method, headers, body: body && !(body instanceof FormData) ? JSON.stringify(body) : body });
    } catch {
      throw new Error("The studio is not responding; it may be restarting. Try again.");
    }
    if (answer.ok) return answer;
    throw new RefusedError(refusalOf(await answer.json().catch(() => null), answer.status), answer.status);
  }

  /**
   * Send a form that may be large, with upload progress.
   * @param {string} path @param {FormData} form @param {Record<string, string>} headers
   * @param {(share: number) => void} onProgress 0 to 1
   * @returns {Promise<unknown>} the answer; rejects with an Error whose message is for the operator
   */
  upload(path, form, headers, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();  // fetch does not report upload progress
      /** @param {string} message */
      const refuse = (message) => reject(new RefusedError(message, request.status));
      request.open("POST", addressOf(`/api/v1${path}`));
      request.responseType = "json";
      for (const [name, value] of Object.entries({ ...headers, Authorization: `Bearer ${this.token}` })) {
        request.setRequestHeader(name, value);
      }
      request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); });
      request.addEventListener("error", () => refuse("The upload was interrupted: the file may be too large, or the studio may be restarting. Try again."));
      request.addEventListener("load", () => {
        if (request.status < 300) resolve(request.response);
        else refuse(refusalOf(request.response, request.status));
      });
      request.send(form);
    });
  }

  /** Change the scene. @param {import("./api_types.js").ScenePatch} changes */
  patch(changes) {
    return this.ask("PATCH", "./scene", changes);
  }

  /** Fetch an image that requires the token; returns an object URL for an <img>. @param {string} path @returns {Promise<string>} */
  async imageUrl(path) {
    return URL.createObjectURL(await (await this.ask("GET", path)).blob());
  }

  /** Let the browser itself download a file, which may exceed a page's memory; a single-use ticket replaces the token.
   * @param {string} path of the file, as for `ask` @param {string} name of the saved file, "" for the name that the studio gives */
  async download(path, name = "") {
    /** @type {import("./api_types.js").Ticket} */
    const { ticket } = await (await this.ask("POST", `${path}/ticket`)).json();
    element("a", { href: addressOf(`/api/v1${path}/download?ticket=${ticket}`), download: name }).click();
  }

  /** Why sockets do not open although requests are answered, "" if unknown. A refused WebSocket gives the page no reason.
   * @returns {Promise<string>} */
  async whyNoSocket() {
    const answer = await this.ask("POST", "/version").catch((error) => error); // the route does not exist, so the answer depends only on the access checks
    if (!(answer instanceof RefusedError) || answer.status >= 500) return "";
    return answer.status === 405 ? "A proxy in front of the studio does not forward WebSockets. See docs/proxy.md for the settings it needs." : answer.message;
  }

  /** Open one of the channel's sockets; the token is its first message. @param {string} path @returns {WebSocket} */
  socket(path) {
    const socket = new WebSocket(socketAddressOf(`/api/v1/channels/${this.channel}/${path}`));
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => socket.send(JSON.stringify({ token: this.token })));
    return socket;
  }
}
