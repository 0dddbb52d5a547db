"""The live channel inside the gateway: scene, health, program feed, speech queue, browser driver."""
