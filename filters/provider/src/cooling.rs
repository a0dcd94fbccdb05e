//! Who asked to be left alone, and for how long: one table in shared data.
