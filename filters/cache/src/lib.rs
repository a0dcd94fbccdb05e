//! Was it answered: exact answers from shared data.
