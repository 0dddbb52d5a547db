// The viewers' page: shows the program by a watch link, or in a LiveKit room with a token.

import { watchByLink } from "./by_link.js";
import { watchLiveKit } from "./livekit.js";

const fragment = new URLSearchParams(location.hash.slice(1));
const link = fragment.get("link");
if (link) watchByLink(link);
else watchLiveKit(fragment.get("token") ?? "");
addEventListener("hashchange", () => location.reload());
