//! Starts a throw-away PostgreSQL, prints its URL and waits to be stopped: `cargo run -p devpg`.

fn main() -> Result<(), devpg::StartError> {
    let server = devpg::DevPg::start()?;
    println!("{}", server.url("postgres"));
    loop {
        std::thread::park();
    }
}
