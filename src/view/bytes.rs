//! Bytes as a person reads them.

/// Text as it is; control characters but line ends, and bytes that are not UTF-8, as `\xNN`.
pub fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() && letter != '\n' {
                text.push_str(&format!("\\x{:02x}", u32::from(letter)));
            } else {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
