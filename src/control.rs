//! The daemon's composition. (being written)
mod publish;
