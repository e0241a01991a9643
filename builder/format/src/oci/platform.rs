//! Platforms: what an image runs on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::json::null_is_default;

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
#[error(
    "{0:?} is not a platform of the form OS[(VERSION)]/ARCH[/VARIANT], such as linux/arm64 or windows(10.0.20348)/amd64"
)]
pub struct InvalidPlatform(String);

impl Platform {
    /// Whether this stands for no platform at all: the mark of build attestations.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Whether it says at least the operating system and the processor.
    pub fn is_complete(&self) -> bool {
        !self.os.is_empty() && !self.architecture.is_empty()
    }

    /// What this leaves open, as `other` says it. A variant belongs to its processor, and a version to its operating system.
    pub fn or(&self, other: &Self) -> Self {
        let mut all = self.clone();
        if all.architecture.is_empty() {
            all.architecture.clone_from(&other.architecture);
            all.variant.clone_from(&other.variant);
        }
        if all.os.is_empty() {
            all.os.clone_from(&other.os);
        }
        if all.os == other.os && all.os_version.is_empty() {
            all.os_version.clone_from(&other.os_version);
            all.os_features.clone_from(&other.os_features);
        }
        all
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

    /// Whether this is a platform that somebody means with `wanted`: a version may be left out, or only be the beginning of
    /// the one here (`10.0.20348` of `10.0.20348.2340`).
    pub fn matches(&self, wanted: &Self) -> bool {
        let version = match self.os_version.strip_prefix(&wanted.os_version) {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => &*wanted.os_version,
            Some(_) if wanted.os_version.is_empty() => "",
            _ => return false,
        };
        let with = |os: &str, platform: &Self| Self {
            os_version: os.to_owned(),
            ..platform.clone()
        };
        with(version, self).same_as(&with(version, wanted))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if !self.os_version.is_empty() {
            write!(f, "({})", self.os_version)?;
        }
        write!(f, "/{}", self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] if !variant.is_empty() => (os, architecture, variant),
            _ => return Err(InvalidPlatform(text.to_owned())),
        };
        let (os, os_version) = match os.split_once('(') {
            None => (os, ""),
            Some((os, version)) => match version.strip_suffix(')') {
                Some(version) if !version.is_empty() => (os, version),
                _ => return Err(InvalidPlatform(text.to_owned())),
            },
        };
        if os.is_empty() || architecture.is_empty() {
            return Err(InvalidPlatform(text.to_owned()));
        }
        Ok(Self {
            os: os.to_owned(),
            os_version: os_version.to_owned(),
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
            ("windows(10.0.20348.1)/amd64", "windows(10.0.20348.1)/amd64"),
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
            "windows(/amd64",
            "windows()/amd64",
            "windows(10.0/amd64",
            "(10.0)/amd64",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_version_may_be_left_out_or_be_a_beginning() {
        for (there, wanted, is_meant) in [
            ("windows(10.0.17763.1)/amd64", "windows/amd64", true),
            (
                "windows(10.0.17763.1)/amd64",
                "windows(10.0.17763)/amd64",
                true,
            ),
            (
                "windows(10.0.17763.1)/amd64",
                "windows(10.0.17763.1)/amd64",
                true,
            ),
            (
                "windows(10.0.17763.12)/amd64",
                "windows(10.0.17763.1)/amd64",
                false,
            ),
            ("windows/amd64", "windows(10.0.17763)/amd64", false),
            ("windows(10.0.17763.1)/arm64", "windows/amd64", false),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm/v6", "linux/arm", false),
            ("linux/amd64/v3", "linux/amd64", false),
        ] {
            let [there, wanted] = [there, wanted].map(|text| text.parse::<Platform>().unwrap());
            assert_eq!(there.matches(&wanted), is_meant, "{there} {wanted}");
        }
    }

    #[test]
    fn what_is_left_open_is_filled_in() {
        let config: Platform = "windows(10.0.20348.1)/arm64/v9".parse().unwrap();
        let of = |os: &str, architecture: &str| Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            ..Platform::default()
        };
        for (given, expected) in [
            (of("", ""), "windows(10.0.20348.1)/arm64/v9"),
            (of("windows", ""), "windows(10.0.20348.1)/arm64/v9"),
            (of("", "amd64"), "windows(10.0.20348.1)/amd64"),
            (of("linux", ""), "linux/arm64/v9"),
        ] {
            assert_eq!(given.or(&config).to_string(), expected);
        }
    }
}
