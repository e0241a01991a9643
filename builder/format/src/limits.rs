//! Limits: how much an image and its registry can ask of this program. Each has one place here, and a row in the README.
//! What a format or a protocol fixes is a constant; what this program chose is a field, and comes with the request.

/// What this program chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a blob that is held whole: a config, a ztoc, a list of spans to prefetch.
    pub blob_bytes: u64,
    /// Bytes of all ztocs of an image that are held to read its files, or to find those to prefetch.
    pub ztocs_bytes: u64,
    /// Bytes that an image's file system may take in memory, counted roughly: [`Self::NODE_BYTES`] for each name, and its path.
    pub tree_bytes: u64,
    /// Bytes that are collected of a layer for its ztoc, whatever its size; see [`Self::ztoc_bytes_of`].
    pub ztoc_bytes: u64,
    /// Bytes of the manifests in an image index, together. One has some KiB; the provider, which reads them too, has 128 MiB in all.
    pub manifests_bytes: u64,
    /// Manifests in an image index and the indexes within it, together. The largest official images have some 30.
    pub manifests: usize,
    /// Image indexes within each other, the outermost included. buildx makes two.
    pub nested: usize,
    /// Bytes of all pages of a list of referrers; an entry has some 300.
    pub referrers_bytes: u64,
    /// Pages of a list of referrers; a registry that has more is going round in circles.
    pub referrers_pages: usize,
    /// Uncompressed bytes of spans that are kept for whoever reads on.
    pub cached_bytes: u64,
    /// Uncompressed bytes of a span that is kept; larger ones are passed on as they are inflated. A block of deflate may be of any size,
    /// and a span ends where a block does.
    pub span_bytes: u64,
    /// Compressed bytes of layers without a ztoc that are kept, so that they are not fetched a second time.
    pub held_bytes: u64,
    /// Compressed bytes of layers without a ztoc that `report`, and `index` with files to prefetch, read for the names in them: more than an application's own small layers
    /// have as a rule, and far less than a base.
    pub listed_bytes: u64,
    /// Problems of one kind that `verify` tells of one layer.
    pub problems: usize,
}

impl Limits {
    /// Bytes of a manifest, and of a config. ECR takes no larger manifest, and no registry need take one.
    pub const MANIFEST_BYTES: u64 = 4 << 20;
    /// The part of a layer's compressed bytes that its ztoc may take besides, as a divisor.
    const ZTOC_SHARE: u64 = 8;
    /// Bytes of a ztoc: a flatbuffer's offsets have 32 bits, one of them for the sign.
    pub const ZTOC_BYTES: usize = i32::MAX as usize;
    /// Bytes of the records that describe one member of a tar archive (PAX, GNU long name, GNU long link). It is the reference's
    /// own limit, so nothing that it indexes is lost.
    pub const RECORD_BYTES: u64 = 1 << 20;
    /// Bytes that a name in a file system takes in memory, about.
    pub const NODE_BYTES: u64 = 256;
    /// Bytes of a token service's answer. A token has some KiB.
    pub const TOKEN_BYTES: u64 = 1 << 20;
    /// Bytes of a file that the user keeps for registries: credentials, certificates. The largest, a bundle of all public
    /// authorities, has a quarter of a MiB.
    pub const SETTINGS_BYTES: u64 = 4 << 20;
    /// Bytes of an error's body: a few hundred of JSON. HTML error pages may be longer and tell nothing.
    pub const ERROR_BODY_BYTES: u64 = 64 << 10;

    /// For a process that may use `bytes` of memory in all: never more than the defaults. Eight layers are read at once, so all that is
    /// collected of them takes half of it at most, unless several of them are huge; an image whose ztocs need more has them left out,
    /// with a warning.
    #[must_use]
    pub fn within_memory(bytes: u64) -> Self {
        let defaults = Self::default();
        Self {
            blob_bytes: defaults.blob_bytes.min(bytes / 4),
            ztocs_bytes: defaults.ztocs_bytes.min(bytes / 4),
            tree_bytes: defaults.tree_bytes.min(bytes / 4),
            ztoc_bytes: defaults.ztoc_bytes.min(bytes / 16),
            ..defaults
        }
    }

    /// Bytes that are collected of a layer of `layer_bytes` compressed bytes for its ztoc. Small layers cannot ask for much, however far
    /// they unfold; and the largest ones, with 32 KiB for each 4 MiB of their uncompressed bytes, stay far below.
    pub fn ztoc_bytes_of(&self, layer_bytes: u64) -> u64 {
        let bytes = self
            .ztoc_bytes
            .saturating_add(layer_bytes / Self::ZTOC_SHARE);
        bytes.min(self.blob_bytes)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blob_bytes: 1 << 30,
            ztocs_bytes: 1 << 30,
            tree_bytes: 1 << 30,
            ztoc_bytes: 128 << 20,
            manifests_bytes: 8 << 20,
            manifests: 1_000,
            nested: 4,
            referrers_bytes: 16 << 20,
            referrers_pages: 1_000,
            cached_bytes: 64 << 20,
            span_bytes: 16 << 20,
            held_bytes: 64 << 20,
            listed_bytes: 64 << 20,
            problems: 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ztoc_may_grow_with_its_layer_and_stays_readable() {
        let limits = Limits::default();
        assert_eq!(limits.ztoc_bytes_of(1 << 20), (128 << 20) + (128 << 10));
        // ECR's largest layer, 52,000 MiB, takes 32 KiB for each 4 MiB: 407 MiB and a bit where it does not shrink.
        assert!(limits.ztoc_bytes_of(52_000 << 20) > 2 * (407 << 20));
        assert_eq!(limits.ztoc_bytes_of(u64::MAX), limits.blob_bytes);
        assert!(limits.blob_bytes <= Limits::ZTOC_BYTES as u64);
    }

    #[test]
    fn a_small_machine_holds_less_and_a_large_one_no_more_than_the_defaults() {
        let small = Limits::within_memory(512 << 20);
        assert_eq!(small.ztoc_bytes_of(1 << 20), (32 << 20) + (128 << 10));
        assert_eq!(small.ztoc_bytes_of(u64::MAX), 128 << 20);
        assert_eq!(Limits::within_memory(10 << 30), Limits::default());
    }

    #[test]
    fn the_readme_has_every_number() {
        let limits = Limits::default();
        let mib = |bytes: u64| {
            assert!(bytes.is_multiple_of(1 << 20), "{bytes}");
            format!("{} MiB", bytes >> 20)
        };
        for (of, number) in [
            ("a manifest, a config", mib(Limits::MANIFEST_BYTES)),
            (
                "all manifests of an image index",
                mib(limits.manifests_bytes),
            ),
            ("manifests in an image index", limits.manifests.to_string()),
            ("depth of nested image indexes", limits.nested.to_string()),
            ("a list of referrers", mib(limits.referrers_bytes)),
            ("pages of that list", limits.referrers_pages.to_string()),
            ("a blob that is held in memory", mib(limits.blob_bytes)),
            (
                "data collected from a layer",
                format!(
                    "{} plus 1/{} of the layer's compressed size",
                    mib(limits.ztoc_bytes),
                    Limits::ZTOC_SHARE
                ),
            ),
            ("all ztocs of an image", mib(limits.ztocs_bytes)),
            ("the file system of an image", mib(limits.tree_bytes)),
            (
                "extended headers of one archive member",
                mib(Limits::RECORD_BYTES),
            ),
            ("cached spans", mib(limits.cached_bytes)),
            ("one cached span", mib(limits.span_bytes)),
            ("cached layers without a ztoc", mib(limits.held_bytes)),
            (
                "layers without a ztoc that `report` reads",
                mib(limits.listed_bytes),
            ),
            ("problems of one kind", limits.problems.to_string()),
            ("a token response", mib(Limits::TOKEN_BYTES)),
            (
                "an error response",
                format!("{} KiB", Limits::ERROR_BODY_BYTES >> 10),
            ),
        ] {
            let row = include_str!("../../README.md")
                .lines()
                .find(|line| line.starts_with(&format!("| {of}")));
            let row = row.unwrap_or_else(|| panic!("there is no row for {of}"));
            assert!(row.contains(&format!("| {number} |")), "{row}: {number}");
        }
    }
}
