//! Mutations of DNS messages. The same seed and corpus give the same packets.

/// Bytes that mean something in a DNS message: bounds of label lengths, pointers, flags, types.
const BYTES: [u8; 18] = [0, 1, 2, 3, 5, 11, 12, 16, 28, 41, 63, 64, 65, 127, 128, 0xc0, 0xfe, 0xff];

/// The same of 16-bit numbers: counts, lengths, types, classes, pointers.
const WORDS: [u16; 16] =
    [0, 1, 2, 41, 65, 255, 256, 512, 1232, 4096, 0x7fff, 0x8000, 0xc00c, 0xc000, 0xfffe, 0xffff];

/// No mutation is longer than this, except where the corpus is.
const LONGEST: usize = 2048;

pub(crate) struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    pub(crate) fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        assert!(!corpus.is_empty(), "there is something to mutate");
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, corpus }
    }

    /// xorshift64*: quick, and good enough to choose mutations by.
    pub(crate) fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`; 0 when that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.random() as usize).checked_rem(end).unwrap_or(0)
    }

    /// The next packet: one of the corpus, mostly changed in a few places; now and then noise.
    pub(crate) fn next_into(&mut self, packet: &mut Vec<u8>) {
        packet.clear();
        if self.below(64) == 0 {
            let len = self.below(600);
            packet.extend((0..len).map(|_| self.random() as u8));
            return;
        }
        let chosen = self.below(self.corpus.len());
        packet.extend_from_slice(&self.corpus[chosen]);
        // One in 16 stays as it is.
        let changes = match self.below(16) {
            0 => 0,
            1..=9 => 1,
            10..=13 => 1 + self.below(4),
            _ => 1 + self.below(16),
        };
        for _ in 0..changes {
            self.change(packet);
        }
    }

    fn change(&mut self, packet: &mut Vec<u8>) {
        let at = self.below(packet.len());
        match self.below(12) {
            0 | 1 => {
                let bit = 1 << self.below(8);
                packet.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
            }
            2 => {
                let byte = BYTES[self.below(BYTES.len())];
                packet.iter_mut().skip(at).take(1).for_each(|old| *old = byte);
            }
            3 => {
                let byte = self.random() as u8;
                packet.iter_mut().skip(at).take(1).for_each(|old| *old = byte);
            }
            4 | 5 => {
                // Half of these change the header: flags and counts decide about the rest.
                let at = if self.below(2) == 0 { 2 + 2 * self.below(5) } else { at };
                let word = WORDS[self.below(WORDS.len())].to_be_bytes();
                if let Some(old) = packet.get_mut(at..at + 2) {
                    old.copy_from_slice(&word);
                }
            }
            6 => packet.truncate(at),
            7 => {
                let end = (at + 1 + self.below(16)).min(packet.len());
                packet.drain(at.min(end)..end);
            }
            8 => {
                let byte = self.random() as u8;
                let count = 1 + self.below(16);
                packet.splice(at..at, std::iter::repeat_n(byte, count));
            }
            9 => {
                // A piece of itself once more: records repeat, pointers lead elsewhere.
                let end = (at + 1 + self.below(64)).min(packet.len());
                let piece = packet.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(packet.len() + 1);
                if packet.len() < LONGEST {
                    packet.splice(to..to, piece);
                }
            }
            10 => {
                // The end of another.
                let other = self.below(self.corpus.len());
                let from = self.below(self.corpus[other].len());
                packet.truncate(at);
                packet.extend_from_slice(&self.corpus[other][from..]);
            }
            _ => {
                // The case of a letter.
                if let Some(byte) = packet.get_mut(at).filter(|byte| byte.is_ascii_alphabetic()) {
                    *byte ^= 0x20;
                }
            }
        }
    }
}
