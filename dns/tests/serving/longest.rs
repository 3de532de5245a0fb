//! Answers as long as there can be, full of names as long as there can be.

/// The longest message over TCP.
const LONGEST: usize = 65_535;

const A: u16 = 1;
const CNAME: u16 = 5;
const MX: u16 = 15;
const TXT: u16 = 16;
const RRSIG: u16 = 46;

/// A question for the longest name, of as many labels as fit.
fn question(rtype: u16) -> Vec<u8> {
    let mut wire = vec![0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for _ in 0..127 {
        wire.extend_from_slice(b"\x01q");
    }
    wire.push(0);
    wire.extend_from_slice(&rtype.to_be_bytes());
    wire.extend_from_slice(&[0, 1]);
    wire
}

/// Appends so many records made of their number, or as many as fit.
fn fill(mut wire: Vec<u8>, most: u16, record: impl Fn(usize, usize) -> Vec<u8>) -> Vec<u8> {
    let mut count = 0;
    while count < most {
        let next = record(usize::from(count), wire.len());
        if wire.len() + next.len() > LONGEST {
            break;
        }
        wire.extend_from_slice(&next);
        count += 1;
    }
    wire[6..8].copy_from_slice(&count.to_be_bytes());
    wire
}

fn record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let len = (rdata.len() as u16).to_be_bytes();
    [owner, &rtype.to_be_bytes(), &[0, 1, 0, 0, 1, 44], &len, rdata].concat()
}

/// A pointer to the name of the question without its first labels.
fn below(labels: usize) -> [u8; 2] {
    (0xc000 | (12 + 2 * labels) as u16).to_be_bytes()
}

/// A name that differs from the question's in its first two labels only; each from all others.
fn sibling(number: usize) -> Vec<u8> {
    [&[1, b'a' + (number / 251 % 26) as u8][..], &[1, (number % 251) as u8], &below(2)].concat()
}

/// What each is made of, and the answer; with so many records at most.
pub(crate) fn answers(most: u16) -> Vec<(&'static str, Vec<u8>)> {
    let own = below(0);
    let fill =
        |rtype, record: &dyn Fn(usize, usize) -> Vec<u8>| fill(question(rtype), most, record);
    let signed = |number| {
        let signer = [&[0; 18][..], &sibling(number), b"s"].concat();
        record(&own, RRSIG, &signer)
    };
    vec![
        ("addresses", fill(A, &|at, _| record(&own, A, &[192, 0, 2, at as u8]))),
        ("addresses in the house", fill(A, &|at, _| record(&own, A, &[10, 0, 2, at as u8]))),
        ("records of the name", fill(TXT, &|_, _| record(&own, TXT, &[0]))),
        (
            "names of mail servers",
            fill(MX, &|at, _| record(&own, MX, &[&[0, 1][..], &sibling(at)].concat())),
        ),
        ("names of nobody", fill(TXT, &|at, _| record(&sibling(at), TXT, &[0]))),
        // Each owner is a label before that of the record before, as deep as a name can be.
        (
            "stairs of names",
            fill(TXT, &|number, at| {
                let last = 0xc000 | (at as u16).wrapping_sub(15);
                let foot = number % 126 == 0 || at > 0x3fff;
                let to = if foot { below(126) } else { last.to_be_bytes() };
                record(&[&[1, b'x'][..], &to].concat(), TXT, &[0])
            }),
        ),
        ("aliases of nobody", fill(TXT, &|at, _| record(&sibling(at), CNAME, &sibling(at + 1)))),
        // The last step of the chain comes first; then aliases of nobody, then what stands at the
        // names on the way.
        (
            "a chain from its end",
            fill(TXT, &|at, _| match at {
                0..15 => {
                    let owner = if at == 14 { own.to_vec() } else { sibling(14 - at) };
                    record(&owner, CNAME, &sibling(15 - at))
                }
                15..32 => record(&sibling(at + 100), CNAME, &sibling(at + 101)),
                _ => record(&sibling(1 + at % 15), TXT, &[0]),
            }),
        ),
        ("signatures beside nothing", fill(TXT, &|at, _| signed(at))),
        ("signatures", fill(RRSIG, &|at, _| signed(at))),
    ]
}
