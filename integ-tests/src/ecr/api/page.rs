//! Pages of lists.

use crate::{
    cloud::call::{Call, Refused},
    ecr::state::State,
};

/// A page of a list, and the token of the next one. The token is where it begins.
pub(super) fn page<'a, T>(
    state: &State,
    call: &Call,
    all: &'a [T],
) -> Result<(&'a [T], Option<String>), Refused> {
    let wanted = call.input["maxResults"].as_u64();
    let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
    let size = wanted.unwrap_or(state.options.page).max(1);
    let from = match call.text("nextToken") {
        "" => 0,
        token => token
            .parse()
            .ok()
            .filter(|&from| from <= all.len())
            .ok_or_else(|| Refused::new("InvalidParameterException", "Invalid nextToken"))?,
    };
    let to = (from + size).min(all.len());
    Ok((&all[from..to], (to < all.len()).then(|| to.to_string())))
}
