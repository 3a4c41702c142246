//! The examples of sqlxmq: one program per file beside this one.
