//! What a job is given to work with: its payload, and what layers have provided.

use serde::Deserialize;

use super::CurrentJob;
use crate::registry::ContextMap;
use crate::store::runner::Payload;

/// In a box of its own, since a job is moved from hand to hand: each future on its way has room for all of it.
pub(super) struct Given {
    pub(super) payload: Payload,
    /// What layers have provided.
    pub(super) context: ContextMap,
    /// The version of the JSON that checkpoints are to note, if the job's name says another.
    pub(super) version: Option<u32>,
}

impl Given {
    pub(super) fn new(payload: Payload) -> Self {
        Self {
            payload,
            context: ContextMap::default(),
            version: None,
        }
    }
}

impl CurrentJob {
    /// Provides a value to what is called with this job from now on: a layer does so before it runs [`Next`](crate::Next).
    ///
    /// It takes precedence over what [`JobRegistry::set_context`](crate::JobRegistry::set_context) was given, in arguments by type, in
    /// [`JobInput::context`](crate::JobInput::context) and in [`context`](Self::context). A job whose function asks for a type that only layers
    /// provide needs [`JobRegistry::promise_context`](crate::JobRegistry::promise_context).
    pub fn set_context<C: Clone + Send + Sync + 'static>(&mut self, context: C) -> &mut Self {
        self.given.context.insert(context);
        self
    }

    /// Returns a clone of the value of type `C` that a layer has provided with [`set_context`](Self::set_context).
    pub fn context<C: Clone + Send + Sync + 'static>(&self) -> Option<C> {
        self.given_context()
    }

    pub(super) fn given_context<C: 'static>(&self) -> Option<C> {
        self.given.context.get()
    }

    /// Returns the name the job is stored under.
    ///
    /// That is [`NamedJob::name`](crate::NamedJob::name), with `@v2` behind it for a payload of version 2, and so on: `welcome@v2`. Of a
    /// job that was stored as `welcome` and is upgraded for its function, it is `welcome`.
    pub fn name(&self) -> &str {
        &self.given.payload.name
    }

    /// Returns the name of the job's channel.
    pub fn channel_name(&self) -> &str {
        &self.given.payload.channel_name
    }

    /// Returns the arguments of the job's channel.
    pub fn channel_args(&self) -> &str {
        &self.given.payload.channel_args
    }

    /// Returns how many attempts the job has in all: its retries and one.
    pub fn max_attempts(&self) -> u32 {
        self.given.payload.max_attempts.unsigned_abs()
    }

    /// Decodes the JSON payload, if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload is not JSON of that type.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<Option<T>, serde_json::Error> {
        self.raw_json().map(serde_json::from_str).transpose()
    }

    /// Returns the JSON payload as it was spawned, byte for byte.
    pub fn raw_json(&self) -> Option<&str> {
        self.given.payload.payload_json.as_deref()
    }

    /// Returns the binary payload.
    pub fn raw_bytes(&self) -> Option<&[u8]> {
        self.given.payload.payload_bytes.as_deref()
    }

    pub(super) fn set_payload_json(&mut self, json: String) {
        self.given.payload.payload_json = Some(json);
    }

    pub(super) fn mark_checkpoints(&mut self, version: u32) {
        self.given.version = Some(version);
    }
}
