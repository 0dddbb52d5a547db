"""The gateway's part of the live channel: scene, health, program feed, speech queue, browser driver."""
