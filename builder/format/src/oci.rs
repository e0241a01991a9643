//! The data of the OCI specifications: references, descriptors, manifests, platforms.
//! In: text and JSON. Out: plain data, and JSON byte for byte as Go's encoder writes it. No I/O.

mod json;
mod layer;
mod manifest;
mod platform;
mod reference;
mod stored;

pub use json::to_go_json;
pub use layer::{LayerEncoding, is_foreign};
pub use manifest::{
    Annotations, Descriptor, ImageIndex, ImageManifest, InvalidManifest, Manifest, media_type,
};
pub use platform::Platform;
pub use reference::{
    InvalidReference, InvalidRepository, LayoutImage, Place, Reference, RegistryImage,
    RepositoryReference, Selector, is_tag,
};
pub use stored::StoredManifest;
