//! Sending letters, behind a trait, so that tests can look at them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlxmq::JobError;
use uuid::Uuid;

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The same for each attempt of a job. Mail servers can drop the second of two.
    pub message_id: Uuid,
    /// The address.
    pub to: String,
    /// The text.
    pub text: String,
}

/// Why a letter was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// There is no such address.
    #[error("the address was refused")]
    Refused,
    /// The server has too much to do.
    #[error("the mail server is busy")]
    Busy,
}

/// What the queue makes of it.
impl JobError for MailError {
    fn is_permanent(&self) -> bool {
        matches!(self, Self::Refused)
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Busy).then_some(Duration::from_secs(300))
    }
}

/// A letter on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), MailError>> + Send + 'a>>;

/// What can send a letter.
pub trait SendMail: Send + Sync {
    /// Sends a letter.
    fn send(&self, letter: Letter) -> Sending<'_>;
}

/// What jobs are given to send letters with.
#[derive(Clone)]
pub struct Mailer(pub Arc<dyn SendMail>);

/// Prints letters. A real one would speak SMTP.
#[derive(Debug)]
pub struct Printed;

impl SendMail for Printed {
    fn send(&self, letter: Letter) -> Sending<'_> {
        Box::pin(async move {
            println!("to {}: {}", letter.to, letter.text);
            Ok(())
        })
    }
}
