//! Packet scripts with explicit times against a small book in memory.

mod adopting;
mod bench;
mod book;
mod conversation;
mod delayed;
mod garbage;
mod options;
mod parked;
mod probing;
mod relayed;
mod sending;
mod solo;
mod traps;
