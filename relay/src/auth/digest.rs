//! What stands for a text that must not be kept, or whose length must be bounded.

use aws_lc_rs::digest as library;

/// A SHA-256.
pub type Digest = [u8; 32];

/// The SHA-256 of `parts`, each preceded by its length, so that no two lists of parts are hashed as one.
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = library::Context::new(&library::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"ab"]), digest(&[b"ab", b""]));
        assert_eq!(digest(&[b"ab", b"c"]), digest(&[b"ab", b"c"]));
    }
}
