//! Whether a secret that opens something can be guessed: its length, and how varied it is. Pure.

/// The fewest characters of a secret that cannot be guessed.
pub const MIN_CHARS: usize = 20;
/// The fewest different characters, whatever their case.
const MIN_DIFFERENT: usize = 8;
/// The fewest characters that are left when repeats and sequences are taken out.
const MIN_VARIED: usize = 10;
/// Of a sequence such as `abcdef` this many characters count.
const SEQUENCE_CHARS: usize = 3;
/// A piece of this length that was there before is a repeat.
const PIECE_CHARS: usize = 3;
/// No more than this much of a secret is looked at: what is varied so far is varied enough.
const LOOKED_AT: usize = 256;

/// Neighbours in one of these, in either direction, make a sequence.
const ROWS: [&[u8]; 5] =
    [b"abcdefghijklmnopqrstuvwxyz", b"01234567890", b"qwertyuiop", b"asdfghjkl", b"zxcvbnm"];

/// Why a secret can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// It has only so many characters.
    Short(usize),
    /// It has so few different characters.
    FewDifferent(usize),
    /// More than a third of it is there a second time.
    Repeats,
    /// It is hardly more than `abcdef`, `123456` or `qwerty`.
    Sequence,
}

impl Weakness {
    /// The end of a sentence about the secret.
    pub fn sentence(self) -> String {
        match self {
            Weakness::Short(chars) => {
                format!("has {chars} characters, fewer than {MIN_CHARS}, and can be guessed")
            }
            Weakness::FewDifferent(different) => {
                format!("has too few different characters ({different}) and can be guessed")
            }
            Weakness::Repeats => "repeats itself and can be guessed".to_owned(),
            Weakness::Sequence => {
                "is hardly more than a sequence such as `abcdef` or `123456` and can be guessed".to_owned()
            }
        }
    }
}

/// Why this secret can be guessed; `None` where it has [`MIN_CHARS`] characters or more and is varied.
/// Random letters and digits, GUIDs and a few words in a row are varied; `aaaa…`, `1234567890` twice,
/// `passwordpassword…` and the alphabet are not.
pub fn weakness(secret: &str) -> Option<Weakness> {
    let chars = secret.chars().count();
    if chars < MIN_CHARS {
        return Some(Weakness::Short(chars));
    }
    let text: Vec<u8> = secret.bytes().take(LOOKED_AT).map(|byte| byte.to_ascii_lowercase()).collect();
    let mut different = text.clone();
    different.sort_unstable();
    different.dedup();
    if different.len() < MIN_DIFFERENT {
        return Some(Weakness::FewDifferent(different.len()));
    }
    let fresh = without_repeats(&text);
    if (text.len() - fresh.len()) * 3 > text.len() {
        return Some(Weakness::Repeats);
    }
    (varied(&fresh) < MIN_VARIED).then_some(Weakness::Sequence)
}

/// The text without the pieces that were there before.
fn without_repeats(text: &[u8]) -> Vec<u8> {
    let mut fresh = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let repeated = longest_repeat(text, text.len() - rest.len());
        if repeated >= PIECE_CHARS {
            rest = rest.get(repeated..).unwrap_or_default();
        } else {
            fresh.push(*first);
            rest = after;
        }
    }
    fresh
}

/// How much of what begins at `at` also begins somewhere before it.
fn longest_repeat(text: &[u8], at: usize) -> usize {
    let from = |start: usize| text.get(start..).unwrap_or_default();
    let shared = |start: usize| from(at).iter().zip(from(start)).take_while(|(a, b)| a == b).count();
    (0..at).map(shared).max().unwrap_or(0)
}

/// How many characters count: one that is doubled counts once, of a sequence the first ones.
fn varied(text: &[u8]) -> usize {
    let (mut before, mut sequence, mut count) = (0, 0, 0);
    for byte in text.iter().copied().filter(u8::is_ascii_graphic) {
        if byte == before {
            continue;
        }
        sequence = if are_neighbours(before, byte) { sequence + 1 } else { 1 };
        count += usize::from(sequence <= SEQUENCE_CHARS);
        before = byte;
    }
    count
}

fn are_neighbours(one: u8, other: u8) -> bool {
    ROWS.iter().any(|row| row.windows(2).any(|pair| pair == [one, other] || pair == [other, one]))
}
