//! The context.

use super::program::{CONTEXT, FUNCTION};
use crate::mistakes::mistake::{End, Mistake};

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "The context is forgotten",
        changes: &[
            (
                "    let mut registry = registry();\n",
                "    let registry = registry();\n",
            ),
            (CONTEXT, ""),
        ],
        end: End::Exits,
        tells: &["job `app::send_welcome` needs a context of type `&str`, which `set_context` was not given"],
        when: "start",
        verdict: "yes",
    },
    Mistake {
        title: "The context is of another type",
        changes: &[(CONTEXT, "    registry.set_context(String::from(\"us\"));\n")],
        end: End::Exits,
        tells: &["take `String` if a `String` was given"],
        when: "start",
        verdict: "yes",
    },
    Mistake {
        title: "The context is a reference that is not `'static`",
        changes: &[
            (
                FUNCTION,
                "async fn send_welcome(Json(welcome): Json<Welcome>, sender: &String) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
            (CONTEXT, "    registry.set_context(String::from(\"us\"));\n"),
        ],
        end: End::Exits,
        tells: &["take `alloc::string::String` by value"],
        when: "start",
        verdict: "yes",
    },
];
