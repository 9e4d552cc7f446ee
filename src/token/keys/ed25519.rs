//! Which Ed25519 points count: canonical ones that are not of small order (SEC-T10).
//!
//! The library checks S < L and compares R byte for byte, but takes any A. With a key of small order one signature holds
//! for many messages; with a second encoding of a point one key has two thumbprints. Asked for keys when they are read,
//! and for R at each verification.

/// The y coordinates of the eight points whose order divides 8, little-endian. Each stands for x and −x.
const SMALL_ORDER: [[u8; 32]; 5] = [
    // y = 1 (order 1) and y = 0 (order 4)
    little(1),
    little(0),
    // y = p − 1 (order 2)
    below_p(1),
    // the two of order 8
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn little(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = value;
    bytes
}

/// p − `less`, where p = 2^255 − 19.
const fn below_p(less: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed - less;
    bytes[31] = 0x7f;
    bytes
}

/// Whether these 32 bytes may be a point in a key or signature (RFC 8032 section 5.1.3, and stricter).
pub fn is_strict_point(encoded: &[u8; 32]) -> bool {
    let mut y = *encoded;
    y[31] &= 0x7f;
    let canonical = y.iter().rev().lt(below_p(0).iter().rev());
    canonical && !SMALL_ORDER.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-T10
    #[test]
    fn every_encoding_of_a_point_of_small_order_is_refused() {
        for y in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut encoded = y;
                encoded[31] |= sign;
                assert!(!is_strict_point(&encoded), "{encoded:?}");
            }
        }
    }

    // SEC-T10
    #[test]
    fn a_y_of_p_or_more_is_refused() {
        for more in 0..=18 {
            for last in [0x7f, 0xff] {
                let mut encoded = below_p(0);
                encoded[0] += more;
                encoded[31] = last;
                assert!(!is_strict_point(&encoded), "p + {more}");
            }
        }
        assert!(is_strict_point(&below_p(2)));
    }

    #[test]
    fn the_base_point_is_fine() {
        let mut base = [0x66; 32];
        base[0] = 0x58;
        assert!(is_strict_point(&base));
    }
}
