//! Where credentials came from.

/// What gave us credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// ECR, through the AWS SDK.
    Ecr,
    /// `SOCI_REGISTRY_USERNAME` and `SOCI_REGISTRY_PASSWORD`.
    Variables,
    /// A file of docker or podman, or a credential helper that it names.
    File {
        /// The file, or the variable or flag that was given in its place.
        place: String,
        /// Why AWS gave no token, for a host of ECR.
        instead_of_ecr: Option<String>,
    },
}
