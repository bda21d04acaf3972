//! The fuzz targets with inputs that are changed by chance: without a fuzzer's eye for what is new, but with every
//! run of the tests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fuzz::corpora::{inputs, targets};
use crate::support::trial::{Chance, rounds};

/// What readers are often wrong about.
const PIECES: [&[u8]; 20] = [
    b"\r\n",
    b"\n--\n",
    b"%",
    b"%00",
    b"\xff\xfe",
    b"{{",
    b"}}",
    b"#",
    b"\"",
    b"'",
    b"\\",
    b"[",
    b"]",
    b"=",
    b"&",
    b"-",
    b"9999999999999999999999",
    b"\xc3\xbc",
    b"\0",
    b"{\"a\":[{}]}",
];

fn place(chance: &mut Chance, length: usize) -> usize {
    let number = usize::from(chance.byte()) << 8 | usize::from(chance.byte());
    number % (length + 1)
}

/// One to eight changes: a bit, a piece put in, a range taken out or written twice, another input's end.
fn changed(chance: &mut Chance, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=chance.byte() % 8 {
        let at = place(chance, bytes.len());
        let end = (at + usize::from(chance.byte() % 32)).min(bytes.len());
        match chance.byte() % 6 {
            0 => {
                drop(bytes.splice(at..at, PIECES[usize::from(chance.byte()) % PIECES.len()].iter().copied()))
            }
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            3 => drop(bytes.splice(at.., other[place(chance, other.len())..].iter().copied())),
            4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = chance.byte()),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (chance.byte() % 8)),
        }
    }
    bytes
}

#[test]
fn inputs_that_are_changed_by_chance_pass_every_fuzz_target() {
    let mut chance = Chance::of_this_run();
    for (name, run) in targets::ALL {
        let inputs = inputs(name);
        for round in 0..rounds(400) {
            let (_, bytes) = &inputs[round % inputs.len()];
            let (_, other) = &inputs[place(&mut chance, inputs.len() - 1)];
            let bytes = changed(&mut chance, bytes, other);
            let passed = catch_unwind(AssertUnwindSafe(|| run(&bytes)));
            assert!(passed.is_ok(), "{name}: \"{}\"", bytes.escape_ascii());
        }
    }
}
