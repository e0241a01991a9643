//! Limits: how much an image and its registry can ask of this program. Each has one place here, and a row in the README.
//! What a format or a protocol fixes is a constant; what this program chose is a field, and comes with the request.

/// What this program chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a blob that is held whole: a config, a ztoc, a list of spans to prefetch.
    pub blob_bytes: u64,
    /// Bytes of the manifests in an image index, together. One has some KiB; the provider, which reads them too, has 128 MiB in all.
    pub manifests_bytes: u64,
    /// Bytes of all pages of a list of referrers; an entry has some 300.
    pub referrers_bytes: u64,
    /// Pages of a list of referrers; a registry that has more is going round in circles.
    pub referrers_pages: usize,
    /// Plain bytes of spans that are kept for whoever reads on.
    pub cached_bytes: u64,
    /// Plain bytes of a span that is kept; larger ones are passed on as they are inflated. A block of deflate may be of any size,
    /// and a span ends where a block does.
    pub span_bytes: u64,
    /// Stored bytes of layers without a ztoc that are kept, so that they are not fetched a second time.
    pub held_bytes: u64,
    /// Stored bytes of layers without a ztoc that `report` reads for the names in them: more than an application's own small layers
    /// have as a rule, and far less than a base.
    pub listed_bytes: u64,
    /// Problems of one kind that `verify` tells of one layer.
    pub problems: usize,
}

impl Limits {
    /// Bytes of a manifest, and of a config. ECR takes no larger manifest, and no registry need take one.
    pub const MANIFEST_BYTES: u64 = 4 << 20;
    /// Bytes of a ztoc: a flatbuffer's offsets have 32 bits, one of them for the sign.
    pub const ZTOC_BYTES: usize = i32::MAX as usize;
    /// Bytes of the records that describe one member of a tar archive (PAX, GNU long name, GNU long link). It is the reference's
    /// own limit, so nothing that it indexes is lost.
    pub const RECORD_BYTES: u64 = 1 << 20;
    /// Bytes of a token service's answer. A token has some KiB.
    pub const TOKEN_BYTES: u64 = 1 << 20;
    /// Bytes of an error's body: a few hundred of JSON. HTML error pages may be longer and are of no use.
    pub const ERROR_BODY_BYTES: u64 = 64 << 10;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blob_bytes: Self::ZTOC_BYTES as u64,
            manifests_bytes: 8 << 20,
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
            ("a list of referrers", mib(limits.referrers_bytes)),
            ("its pages", limits.referrers_pages.to_string()),
            (
                "a blob that is held whole",
                format!("{} MiB", (limits.blob_bytes + 1) >> 20),
            ),
            (
                "the records of one member of an archive",
                mib(Limits::RECORD_BYTES),
            ),
            ("spans that are kept", mib(limits.cached_bytes)),
            ("one of them", mib(limits.span_bytes)),
            (
                "layers without a ztoc that are kept",
                mib(limits.held_bytes),
            ),
            (
                "layers without a ztoc that `report` reads",
                mib(limits.listed_bytes),
            ),
            ("problems of one kind", limits.problems.to_string()),
            ("an answer with a token", mib(Limits::TOKEN_BYTES)),
            (
                "the body of an error",
                format!("{} KiB", Limits::ERROR_BODY_BYTES >> 10),
            ),
        ] {
            let row = include_str!("../README.md")
                .lines()
                .find(|line| line.starts_with(&format!("| {of}")));
            let row = row.unwrap_or_else(|| panic!("there is no row for {of}"));
            assert!(row.contains(&format!("| {number} |")), "{row}: {number}");
        }
    }
}
