"""common.bus: facts on the road: bus, outbox, courier, inbox, hand-over."""
