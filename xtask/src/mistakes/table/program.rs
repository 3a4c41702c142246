//! The lines of the guide's first program that are replaced.

pub const SPAWN: &str = "    send_welcome.builder(&Welcome { user: 1 }).spawn(&pool).await?;\n";
pub const ATTRIBUTE: &str = "#[job(channel_name = \"mail\", retries = 7)]\n";
pub const FUNCTION: &str = "async fn send_welcome(Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n";
pub const BODY: &str = "    println!(\"from {sender} to user {}\", welcome.user);\n";
pub const USE: &str = "use sqlxmq::{Json, job, registry};\n";
pub const CONTEXT: &str = "    registry.set_context(\"us\");\n";
pub const RUN: &str = "    let runner = registry.runner(&pool).run().await?;\n";
pub const WAIT: &str = "    runner.shutdown_on_signal().await?;\n";
