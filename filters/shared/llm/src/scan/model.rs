//! Finds the model a request names while the body streams past.

use super::{Scalar, Scanner, Visitor};

/// Finds the top-level `model` of a request body that comes in chunks. The first one counts; a value over
/// [`super::MAX_VALUE`] bytes counts as none.
#[derive(Debug, Default)]
pub struct ModelScanner {
    scanner: Scanner,
    found: Found,
}

#[derive(Debug, Default)]
struct Found {
    seen: bool,
    model: Option<String>,
}

impl Visitor for Found {
    fn scalar(&mut self, path: &str, value: Scalar<'_>) {
        if !self.seen && path == "model" {
            self.seen = true;
            if let Scalar::Text(Some(model)) = value {
                self.model = Some(model.to_owned());
            }
        }
    }
}

impl ModelScanner {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the body.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.is_done() {
            self.scanner.feed(bytes, &mut self.found);
        }
    }

    /// The model, once seen.
    pub fn model(&self) -> Option<&str> {
        self.found.model.as_deref()
    }

    /// Whether further bytes change nothing.
    pub fn is_done(&self) -> bool {
        self.found.seen || self.scanner.is_whole() || self.scanner.is_failed()
    }
}
