"""dispatch.egress: a SOCKS5 proxy that lends the addresses of its machine to relays: BIND the source, then CONNECT."""
