//! Access: what to do where a registry refuses our credentials, or we have none.

use crate::registry::origin::Origin;

pub(super) fn who_and_what_to_do(host: &str, known: Option<&Origin>) -> String {
    match known {
        None => format!(
            "{host} requires credentials, but none were found; run `docker login {host}`, or set \
             SOCI_REGISTRY_USERNAME and SOCI_REGISTRY_PASSWORD"
        ),
        Some(Origin::Ecr) => format!(
            "{host} rejected the token from AWS; check that this role may use the repository, \
             and that the repository's policy allows it"
        ),
        Some(Origin::Variables) => format!(
            "{host} rejected the credentials in SOCI_REGISTRY_USERNAME and SOCI_REGISTRY_PASSWORD; \
             check them, and that they may use this repository"
        ),
        Some(Origin::File {
            place,
            instead_of_ecr,
        }) => {
            let aws = instead_of_ecr.iter().map(|reason| format!("; {reason}"));
            format!(
                "{host} rejected the credentials in {place}; run `docker login {host}` again, \
                 and check that they may use this repository{}",
                aws.collect::<String>()
            )
        }
    }
}
