//! `BatchDeleteImage`: by tag takes the tag away, and the image with its last tag; by digest the image with all its tags.
//! In: image ids. Out: what was deleted, and what was not and why. The registry behind keeps the bytes; nobody gets them any more.

use serde_json::{Value, json};

use super::{
    api::images::{find, ids, image_id},
    contents::{Contents, ListedBy},
    events::Action,
    state::State,
};
use crate::cloud::call::{Call, Refused};

/// Deletes what is asked.
pub(super) fn delete(state: &State, call: &Call) -> Result<Value, Refused> {
    let ids = ids(call)?;
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    let repository = call.text("repositoryName");
    state.with(repository, |contents| {
        for id in ids {
            let image = find(contents, id).ok().cloned();
            match delete_one(contents, id) {
                Ok(gone) => {
                    for (image, one) in image
                        .iter()
                        .flat_map(|image| gone.iter().map(move |one| (image, one)))
                    {
                        let tag = one["imageTag"].as_str();
                        state.events.report(Action::Delete, repository, image, tag);
                    }
                    deleted.extend(gone);
                }
                Err((code, reason)) => failures
                    .push(json!({"imageId": id, "failureCode": code, "failureReason": reason})),
            }
        }
    });
    Ok(json!({"imageIds": deleted, "failures": failures}))
}

fn delete_one(contents: &mut Contents, id: &Value) -> Result<Vec<Value>, (String, String)> {
    let owned = |(code, reason): (&str, &str)| (code.to_owned(), reason.to_owned());
    let digest = find(contents, id).map_err(owned)?.digest.clone();
    let listed = |ListedBy(lists): ListedBy| {
        let reason = format!(
            "Requested image referenced by manifest list: [{}]",
            lists.join(", ")
        );
        ("ImageReferencedByManifestList".to_owned(), reason)
    };
    if let Some(tag) = id["imageTag"].as_str() {
        return match contents.untag(tag) {
            Some(Ok(digest)) => Ok(vec![image_id(&digest, Some(tag))]),
            Some(Err(lists)) => Err(listed(lists)),
            None => Ok(Vec::new()),
        };
    }
    let tags = match contents.delete(&digest) {
        Some(Ok(tags)) => tags,
        Some(Err(lists)) => return Err(listed(lists)),
        None => Vec::new(),
    };
    Ok(match tags.is_empty() {
        true => vec![image_id(&digest, None)],
        false => tags
            .iter()
            .map(|tag| image_id(&digest, Some(tag)))
            .collect(),
    })
}
