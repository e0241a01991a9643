//! An ECR repository. In: its URI. Out: account, region and name. The host is never assembled,
//! because its domain depends on the partition.

use std::fmt;

/// An ECR repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    uri: String,
    /// The account's id.
    pub account: String,
    /// The region.
    pub region: String,
    /// The repository's name.
    pub name: String,
}

impl Repository {
    /// Parses `<account>.dkr.ecr.<region>.<partition's domain>/<name>`, or the form of dual-stack hosts.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (host, name) = uri.split_once('/')?;
        let (account, rest) = host.split_once('.')?;
        let rest = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."]
            .iter()
            .find_map(|kind| rest.strip_prefix(kind))?;
        let (region, domain) = rest.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_word = |text: &str, others: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            !text.is_empty() && text.chars().all(|c| plain(c) || others.contains(c))
        };
        let is_well = is_account
            && is_word(region, "-")
            && is_word(domain, "-.")
            && is_word(name, "-._/")
            && !name.split('/').any(str::is_empty);
        is_well.then(|| Self {
            uri: uri.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The registry's host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_parsed() {
        for (uri, region, name) in [
            (
                "123456789012.dkr.ecr.us-east-1.amazonaws.com/app",
                "us-east-1",
                "app",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b-c.d_e",
                "cn-north-1",
                "a/b-c.d_e",
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/app",
                "us-gov-west-1",
                "app",
            ),
            (
                "123456789012.dkr-ecr.eu-west-1.on.aws/app",
                "eu-west-1",
                "app",
            ),
        ] {
            let repository = Repository::parse(uri).unwrap();
            assert_eq!(
                (repository.region.as_str(), repository.name.as_str()),
                (region, name)
            );
            assert_eq!(repository.account, "123456789012");
            assert_eq!(repository.to_string(), uri);
        }
    }

    #[test]
    fn other_hosts_and_names_are_rejected() {
        for uri in [
            "",
            "app",
            "docker.io/library/app",
            "12345678901.dkr.ecr.us-east-1.amazonaws.com/app",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/a//b",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/App",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:v1",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/app\n--strict",
        ] {
            assert!(Repository::parse(uri).is_none(), "{uri:?}");
        }
    }
}
