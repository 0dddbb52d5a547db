// Requests to the HTTP API: the token in the header, errors as the server's one sentence.

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

/** What a refusal says. @param {unknown} answer its JSON; the studio's own always has a sentence @param {number} status of HTTP */
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
   * Send a form that may be large, and be told how much of it has gone.
   * @param {string} path @param {FormData} form @param {Record<string, string>} headers
   * @param {(share: number) => void} onProgress 0 to 1
   * @returns {Promise<unknown>} the answer; rejects with an Error whose message is for the operator
   */
  upload(path, form, headers, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();  // fetch does not say how much has been sent
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

  /** An image behind the token as a URL for an <img>. @param {string} path @returns {Promise<string>} */
  async imageUrl(path) {
    return URL.createObjectURL(await (await this.ask("GET", path)).blob());
  }

  /** Let the browser save a file that may be larger than a page's memory, by a ticket good for one download.
   * @param {string} path of what is fetched @param {string} name of the file, "" for the studio's own */
  async download(path, name = "") {
    /** @type {import("./api_types.js").Ticket} */
    const { ticket } = await (await this.ask("POST", `${path}/ticket`)).json();
    element("a", { href: addressOf(`/api/v1${path}/download?ticket=${ticket}`), download: name }).click();
  }

  /** Why no socket opens though requests are answered, "" where that cannot be told. A socket that is refused does not say it.
   * @returns {Promise<string>} */
  async whyNoSocket() {
    const answer = await this.ask("POST", "/version").catch((error) => error); // no such route: only who asks is looked at
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
