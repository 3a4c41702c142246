//! The function that is the job.

use super::program::{ATTRIBUTE, BODY, FUNCTION, USE};
use crate::mistakes::mistake::{End, Mistake};

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "The function is not async",
        changes: &[(
            FUNCTION,
            "fn send_welcome(Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
        )],
        end: End::DoesNotCompile,
        tells: &["write `async fn`"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The future is not `Send`",
        changes: &[(
            BODY,
            "    let user = std::rc::Rc::new(welcome.user);\n    tokio::task::yield_now().await;\n    println!(\"from {sender} to user {user}\");\n",
        )],
        end: End::DoesNotCompile,
        tells: &[
            "has type `Rc<i64>` which is not `Send`",
            "await occurs here, with `user` maybe used later",
        ],
        when: "compile",
        verdict: "yes: what is held across which await",
    },
    Mistake {
        title: "The function is generic",
        changes: &[(
            FUNCTION,
            "async fn send_welcome<S: ToString>(Json(welcome): Json<Welcome>, sender: S) -> Result<(), Box<dyn Error + Send + Sync>> {\n    let sender = sender.to_string();\n",
        )],
        end: End::DoesNotCompile,
        tells: &["a job cannot be generic"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The function is a method",
        changes: &[
            (
                ATTRIBUTE,
                "struct Mailer(&'static str);\n\nimpl Mailer {\n#[job(channel_name = \"mail\", retries = 7)]\n",
            ),
            (
                FUNCTION,
                "async fn send_welcome(&self, Json(welcome): Json<Welcome>) -> Result<(), Box<dyn Error + Send + Sync>> {\n    let sender = self.0;\n",
            ),
            (
                "    Ok(())\n}\n\n#[tokio::main]",
                "    Ok(())\n}\n}\n\n#[tokio::main]",
            ),
        ],
        end: End::DoesNotCompile,
        tells: &["a job is a free function: move it out of the `impl`, and pass what it needs as context"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "`Json` is renamed",
        changes: &[
            (USE, "use sqlxmq::{Json as Payload, job, registry};\n"),
            (
                FUNCTION,
                "async fn send_welcome(Payload(welcome): Payload<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
        ],
        end: End::DoesNotCompile,
        tells: &["a renamed import or an alias hides it from `#[job]`"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "A local has the name of a job",
        changes: &[
            (
                FUNCTION,
                "async fn send_welcome(Json(send_welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
            (
                BODY,
                "    println!(\"from {sender} to user {}\", send_welcome.user);\n",
            ),
        ],
        end: End::DoesNotCompile,
        tells: &["error[E0530]: function parameters cannot shadow statics"],
        when: "compile",
        verdict: "yes, with the guide's first chapter",
    },
];
