//! What a request to the registry host asks for.
//! In: method and path. Out: an action on something, and the permissions that it needs. Pure.

use hyper::Method;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Ping,
    GetManifest,
    HeadManifest,
    PutManifest,
    GetBlob,
    HeadBlob,
    StartUpload,
    PatchUpload,
    PutUpload,
    CancelUpload,
    UploadStatus,
    ListReferrers,
    ListTags,
}

impl Action {
    /// Its name, for rules and records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ping => "Ping",
            Self::GetManifest => "GetManifest",
            Self::HeadManifest => "HeadManifest",
            Self::PutManifest => "PutManifest",
            Self::GetBlob => "GetBlob",
            Self::HeadBlob => "HeadBlob",
            Self::StartUpload => "StartUpload",
            Self::PatchUpload => "PatchUpload",
            Self::PutUpload => "PutUpload",
            Self::CancelUpload => "CancelUpload",
            Self::UploadStatus => "UploadStatus",
            Self::ListReferrers => "ListReferrers",
            Self::ListTags => "ListTags",
        }
    }

    /// The rights that ECR wants for it. Of `ListReferrers` ECR's documentation says so for the API of the same name.
    pub(super) fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Ping => &[],
            Self::GetManifest | Self::HeadManifest | Self::ListReferrers => &["ecr:BatchGetImage"],
            Self::PutManifest => &["ecr:PutImage"],
            Self::GetBlob => &["ecr:GetDownloadUrlForLayer"],
            Self::HeadBlob => &["ecr:BatchCheckLayerAvailability"],
            Self::StartUpload => &["ecr:InitiateLayerUpload"],
            Self::PatchUpload | Self::UploadStatus | Self::CancelUpload => &["ecr:UploadLayerPart"],
            // The bytes may come with it.
            Self::PutUpload => &["ecr:UploadLayerPart", "ecr:CompleteLayerUpload"],
            Self::ListTags => &["ecr:ListImages"],
        }
    }
}

/// An action on something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) action: Action,
    /// The repository; empty for `Ping`.
    pub(super) name: &'a str,
    /// A tag, a digest, an upload.
    pub(super) reference: &'a str,
}

impl<'a> Route<'a> {
    /// None if nothing matches.
    pub(super) fn of(method: &Method, path: &'a str) -> Option<Self> {
        let rest = path
            .strip_prefix("/v2/")
            .or((path == "/v2").then_some(""))?;
        if rest.is_empty() {
            return Some(Self {
                action: Action::Ping,
                name: "",
                reference: "",
            });
        }
        // A repository may be called `a/blobs/b`: the last one decides. The longer one comes first.
        let (kind, name, reference) = ["/blobs/uploads/", "/manifests/", "/blobs/", "/referrers/"]
            .into_iter()
            .find_map(|kind| {
                let (name, reference) = rest.rsplit_once(kind)?;
                (!name.is_empty() && !reference.contains('/')).then_some((kind, name, reference))
            })
            .or_else(|| Some(("/tags/list", rest.strip_suffix("/tags/list")?, "")))?;
        let upload_begins = reference.is_empty();
        let action = match (kind, method.as_str()) {
            ("/manifests/", "GET") => Action::GetManifest,
            ("/manifests/", "HEAD") => Action::HeadManifest,
            ("/manifests/", "PUT") => Action::PutManifest,
            ("/blobs/", "GET") => Action::GetBlob,
            ("/blobs/", "HEAD") => Action::HeadBlob,
            ("/blobs/uploads/", "POST") if upload_begins => Action::StartUpload,
            ("/blobs/uploads/", "PATCH") => Action::PatchUpload,
            ("/blobs/uploads/", "PUT") => Action::PutUpload,
            ("/blobs/uploads/", "DELETE") => Action::CancelUpload,
            ("/blobs/uploads/", "GET") => Action::UploadStatus,
            ("/referrers/", "GET") => Action::ListReferrers,
            ("/tags/list", "GET") => Action::ListTags,
            // ECR has no DELETE here.
            _ => return None,
        };
        Some(Self {
            action,
            name,
            reference,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood() {
        for (method, path, expected) in [
            (Method::GET, "/v2/", Some((Action::Ping, "", ""))),
            (
                Method::PUT,
                "/v2/team/app/manifests/v1",
                Some((Action::PutManifest, "team/app", "v1")),
            ),
            (
                Method::POST,
                "/v2/app/blobs/uploads/",
                Some((Action::StartUpload, "app", "")),
            ),
            (
                Method::PATCH,
                "/v2/app/blobs/uploads/1",
                Some((Action::PatchUpload, "app", "1")),
            ),
            (
                Method::GET,
                "/v2/a/blobs/b/blobs/sha256:1",
                Some((Action::GetBlob, "a/blobs/b", "sha256:1")),
            ),
            (
                Method::GET,
                "/v2/a/tags/list",
                Some((Action::ListTags, "a", "")),
            ),
            (Method::DELETE, "/v2/app/manifests/v1", None),
            (Method::GET, "/v2/manifests/v1", None),
            (Method::GET, "/elsewhere", None),
        ] {
            let found = Route::of(&method, path);
            let found = found.map(|route| (route.action, route.name, route.reference));
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
