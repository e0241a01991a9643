//! Commands that an error tells a person to run.

/// `text` as a shell reads it.
pub fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.:_-@,+=[]".contains(&byte);
    if text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Copies an image, by skopeo's name for where it is, into an OCI archive, and says what to use then. The copy lies beside the
/// archive `beside`, or in the working directory.
pub fn copy_to_oci(from: &str, beside: Option<&str>, name: &str) -> String {
    let to = match beside {
        Some(path) => format!("{}-oci.tar", path.strip_suffix(".tar").unwrap_or(path)),
        None => "image-oci.tar".to_owned(),
    };
    let to = quoted(&format!("oci-archive:{to}:{name}"));
    format!(
        "copy it first: skopeo copy {} {to}, and then use {to}",
        quoted(from)
    )
}
