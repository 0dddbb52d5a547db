"""Engine for Duix-Avatar, formerly HeyGem: a closed-source service that the user runs, called over HTTP."""
