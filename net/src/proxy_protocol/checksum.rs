//! CRC-32C (RFC 3720, appendix B.4), as a PROXY header carries it: over the whole header, with the
//! checksum's own bytes as zero.

use std::ops::Range;

/// The checksum of `bytes`, of which those at `place` count as zero.
pub(super) fn checksum(bytes: &[u8], place: Range<usize>) -> u32 {
    let mut sum = u32::MAX;
    for (index, byte) in bytes.iter().enumerate() {
        let byte = if place.contains(&index) { 0 } else { *byte };
        sum ^= u32::from(byte);
        for _ in 0..8 {
            let carry = (sum & 1).wrapping_neg();
            sum = (sum >> 1) ^ (POLYNOMIAL & carry);
        }
    }
    !sum
}

/// Castagnoli's, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_checksum_of_rfc_3720() {
        for (bytes, want) in
            [(&[0; 32][..], 0x8a91_36aa), (&[0xff; 32], 0x62a8_ab43), (b"123456789", 0xe306_9283)]
        {
            assert_eq!(checksum(bytes, 0..0), want, "{bytes:?}");
        }
        assert_eq!(checksum(&[9; 32], 0..32), 0x8a91_36aa);
    }
}
