//! The characters of HTTP/1: tokens, and what may stand in a value (RFC 9110 5.6.2, 5.5). Pure.

/// Whether there is no control byte but the tab.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    // No early end: so that it is done many bytes at a time.
    !bytes
        .iter()
        .fold(false, |odd, &byte| odd | ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f))
}

/// What a byte is in a token: [`NO_TOKEN`] if it may not stand there.
pub(super) fn class(byte: u8) -> u8 {
    TOKENS[usize::from(byte)]
}

/// No character of a token.
pub(super) const NO_TOKEN: u8 = 0;
/// Letters, digits and `-`, of which all names are that are known here.
const PLAIN: u8 = 1;
/// All else of which tokens may be.
pub(super) const ODD: u8 = 2;

static TOKENS: [u8; 256] = {
    let mut table = [NO_TOKEN; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            table[byte as usize] = PLAIN;
        }
        byte += 1;
    }
    let odd = b"!#$%&'*+.^_`|~";
    let mut at = 0;
    while at < odd.len() {
        table[odd[at] as usize] = ODD;
        at += 1;
    }
    table
};
