"""Log, NinjaOne and Autotask compared: what is apart, what is explained, and what the agents decide about it."""
