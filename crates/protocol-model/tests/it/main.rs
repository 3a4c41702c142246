//! The protocol holds in every state that the suite's configurations can reach, and does not without any one of its mechanisms.

mod every_state;
mod without;
