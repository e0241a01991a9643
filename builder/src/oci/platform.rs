//! Platforms: what an image runs on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::manifest::null_is_default;

/// An operating system and a processor, as in an image index or an image's config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Processor, in Go's words: `amd64`, `arm64`, `arm`, …
    #[serde(default)]
    pub architecture: String,
    /// Operating system, in Go's words: `linux`, `windows`, …
    #[serde(default)]
    pub os: String,
    /// Version of the operating system; Windows images have one.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// Features of the operating system that the image needs.
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub os_features: Vec<String>,
    /// Variant of the processor: `v7` of `arm`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// A text that names no platform.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a platform of the form OS/ARCH[/VARIANT], such as linux/arm64")]
pub struct NotAPlatform(String);

impl Platform {
    /// Whether this stands for no platform at all: the mark of build attestations.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// The canonical spelling, as containerd's `platforms.Normalize` gives it.
    pub fn normalized(&self) -> Self {
        let os = match self.os.to_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = self.architecture.to_lowercase();
        let variant = self.variant.to_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64" | "arm64", other) => ("arm64", other),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            other => other,
        };
        Self {
            os,
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
            ..self.clone()
        }
    }

    /// Whether both are one platform, however they are spelled.
    pub fn same_as(&self, other: &Self) -> bool {
        let (a, b) = (self.normalized(), other.normalized());
        a.os == b.os
            && a.architecture == b.architecture
            && a.variant == b.variant
            && a.os_version == b.os_version
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = NotAPlatform;

    fn from_str(text: &str) -> Result<Self, NotAPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] if !variant.is_empty() => (os, architecture, variant),
            _ => return Err(NotAPlatform(text.to_owned())),
        };
        if os.is_empty() || architecture.is_empty() {
            return Err(NotAPlatform(text.to_owned()));
        }
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_normalized() {
        for (given, expected) in [
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(
                given.parse::<Platform>().unwrap().normalized().to_string(),
                expected,
                "{given}"
            );
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/",
            "linux/arm/v7/x",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text:?}");
        }
    }
}
