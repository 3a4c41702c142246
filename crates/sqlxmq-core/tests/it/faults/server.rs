//! A server that crashes, closes connections, or has no room left.
