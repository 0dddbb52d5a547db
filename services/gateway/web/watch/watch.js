// The viewers' page: by a link of the studio's own, or in a LiveKit room with a token for it.

import { watchByLink } from "./by_link.js";
import { watchLiveKit } from "./livekit.js";

const fragment = new URLSearchParams(location.hash.slice(1));
const link = fragment.get("link");
if (link) watchByLink(link);
else watchLiveKit(fragment.get("token") ?? "");
addEventListener("hashchange", () => location.reload());
