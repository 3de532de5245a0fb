//! The lab's scenarios (tests/src/lab): one binary, one scenario at a time.

mod wires;
