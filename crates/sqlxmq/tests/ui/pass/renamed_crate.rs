//! The crate is found where `crate` says.

#![deny(warnings)]

mod vendor {
    pub use ::sqlxmq as queue;
}

mod jobs {
    use crate::vendor::queue::{CurrentJob, job};

    #[job(crate = "crate::vendor::queue")]
    pub async fn my_job(_job: CurrentJob, _context: u32) -> Result<(), std::fmt::Error> {
        Ok(())
    }
}

fn main() {
    assert_eq!(jobs::my_job.name(), concat!(module_path!(), "::jobs::my_job"));
}
