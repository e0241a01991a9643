//! Links: where a list goes on (RFC 8288).
//! In: the values of `Link` headers. Out: the reference to the next page. Pure, and public for the fuzz targets.

/// The target of `<target>; rel="next"`.
pub fn next_page<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    values.into_iter().find_map(|value| {
        let value = str::from_utf8(value).ok()?;
        let (target, parameters) = value.split_once('<')?.1.split_once('>')?;
        let parameters = parameters.to_ascii_lowercase().replace('"', "");
        let is_next = parameters.split(';').any(|one| one.trim() == "rel=next");
        is_next.then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_page_is_followed() {
        let next = |value: &str| next_page([value.as_bytes()]);
        assert_eq!(
            next(r#"</v2/a?n=1>; rel="next""#).as_deref(),
            Some("/v2/a?n=1")
        );
        assert_eq!(next("<b>;title=x; REL=Next").as_deref(), Some("b"));
        assert_eq!(next(r#"<b>; rel="prev""#), None);
        assert_eq!(next("rel=next"), None);
        assert_eq!(
            next_page([&b"\xff"[..], b"<c>; rel=next"]).as_deref(),
            Some("c")
        );
    }
}
