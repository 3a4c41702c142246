//! What machines, networks and servers do: whatever fails, no job is lost, none has its effect twice, and the runner goes on.

mod failover;
mod listener;
mod payloads;
mod pooler;
mod server;
mod statements;
mod support;
