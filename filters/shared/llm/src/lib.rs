//! Bytes of the model APIs to values and back: request facts, usage, SSE, error bodies.
