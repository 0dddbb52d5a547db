// Requests to the HTTP API: the token in the header, errors as the server's one sentence.

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
    const url = path.startsWith("./") ? `/api/v1/channels/${this.channel}/${path.slice(2)}` : `/api/v1${path}`;
    const headers = { Authorization: `Bearer ${this.token}` };
    const form = body instanceof FormData;
    if (body && !form) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(url, { method, headers, body: body && !form ? JSON.stringify(body) : body });
    } catch {
      throw new Error("The studio does not answer; it may be restarting. Try again.");
    }
    if (answer.ok) return answer;
    const words = await answer.json().catch(() => ({}));
    const error = new Error(words.detail ?? `The studio refused this (${answer.status}).`);
    throw Object.assign(error, { status: answer.status });
  }

  /**
   * Send a form that may be large, and be told how much of it has gone.
   * @param {string} path @param {FormData} form @param {Record<string, string>} headers
   * @param {(share: number) => void} told 0 to 1
   * @returns {Promise<any>} the answer; rejects with an Error whose message is for the operator
   */
  upload(path, form, headers, told) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();  // fetch does not say how much has been sent
      const refuse = (message) => reject(Object.assign(new Error(message), { status: request.status }));
      request.open("POST", `/api/v1${path}`);
      request.responseType = "json";
      for (const [name, value] of Object.entries({ ...headers, Authorization: `Bearer ${this.token}` })) {
        request.setRequestHeader(name, value);
      }
      request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) told(event.loaded / event.total); });
      request.addEventListener("error", () => refuse("The studio ended the upload; it may be too large, or restarting. Try again."));
      request.addEventListener("load", () => {
        if (request.status < 300) resolve(request.response);
        else refuse(request.response?.detail ?? `The studio refused this (${request.status}).`);
      });
      request.send(form);
    });
  }

  /** Change the scene. @param {object} changes */
  patch(changes) {
    return this.ask("PATCH", "./scene", changes);
  }

  /** A picture behind the token as a URL for an <img>. @param {string} path @returns {Promise<string>} */
  async picture(path) {
    return URL.createObjectURL(await (await this.ask("GET", path)).blob());
  }

  /** Open one of the channel's sockets; the token is its first message. @param {string} path @returns {WebSocket} */
  socket(path) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/channels/${this.channel}/${path}`);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => socket.send(JSON.stringify({ token: this.token })));
    return socket;
  }
}
