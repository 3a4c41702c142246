//! PostgreSQL's messages, as far as the proxy looks at them: where each one ends, and which statement it runs.

use std::collections::HashMap;

/// Bytes of one direction, cut into whole messages.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// The first messages of a client have no type.
    has_types: bool,
}

impl Messages {
    pub fn from_client() -> Self {
        Self::default()
    }

    /// `has_types`: after the one letter that answers the question for TLS.
    pub fn from_server() -> Self {
        Self {
            bytes: Vec::new(),
            has_types: true,
        }
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if it is there.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let start = usize::from(self.has_types);
        let length = self.bytes.get(start..start + 4)?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize + start;
        if self.bytes.len() < length {
            return None;
        }
        let rest = self.bytes.split_off(length);
        let message = std::mem::replace(&mut self.bytes, rest);
        // The question for TLS is asked before the first message proper.
        if !self.has_types && message[4..8] != 80_877_103_u32.to_be_bytes() {
            self.has_types = true;
        }
        Some(message)
    }
}

/// The statements a client has prepared, by their names.
#[derive(Debug, Default)]
pub struct Statements(HashMap<Vec<u8>, Vec<u8>>);

impl Statements {
    /// The text that this message of a client runs, if it runs one.
    pub fn run_by(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut parts = message.get(5..)?.split(|&byte| byte == 0);
        match message[0] {
            b'Q' => parts.next().map(<[u8]>::to_vec),
            b'P' => {
                let (name, text) = (parts.next()?.to_vec(), parts.next()?.to_vec());
                self.0.insert(name, text);
                None
            }
            // Portal, statement.
            b'B' => self.0.get(parts.nth(1)?).cloned(),
            _ => None,
        }
    }
}
