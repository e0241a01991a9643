//! AWS's Query protocol, which CloudFormation and IAM speak: an action and its parameters as a form in, XML out. Their SDKs
//! would take longer to compile than the rest of the local cloud.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use roxmltree::{Document, Node};
use url::form_urlencoded;

use super::Error;

/// A service of the emulator.
#[derive(Clone, Debug)]
pub(super) struct Query {
    client: reqwest::Client,
    address: String,
    service: &'static str,
    version: &'static str,
}

impl Query {
    pub(super) fn new(
        client: &reqwest::Client,
        address: &str,
        service: &'static str,
        version: &'static str,
    ) -> Self {
        Self {
            client: client.clone(),
            address: address.to_owned(),
            service,
            version,
        }
    }

    /// Sends a request, and has `read` take what it needs from the response's root element.
    pub(super) async fn call<'p, T>(
        &self,
        action: &'p str,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
        read: impl FnOnce(Node<'_, '_>) -> T,
    ) -> Result<T, Error> {
        let parameters = [("Action", action), ("Version", self.version)]
            .into_iter()
            .chain(parameters);
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let request = self
            .client
            .post(&self.address)
            .header(AUTHORIZATION, super::emulated::credential(self.service))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let response = request.send().await.map_err(Error::refused(action))?;
        let is_success = response.status().is_success();
        let xml = response.text().await.map_err(Error::refused(action))?;
        if !is_success {
            return Err(Error::refused(action)(xml));
        }
        let document = Document::parse(&xml).map_err(Error::refused(action))?;
        Ok(read(document.root_element()))
    }
}

/// The members of the first list of this name, at any depth.
pub(super) fn members<'a, 'input>(
    element: Node<'a, 'input>,
    list: &str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    let list = element.descendants().find(|node| node.has_tag_name(list));
    list.into_iter()
        .flat_map(|list| list.children())
        .filter(|node| node.has_tag_name("member"))
}

/// The text of the first element of this name, at any depth; none where it is empty.
pub(super) fn text(element: Node<'_, '_>, name: &str) -> Option<String> {
    let found = element.descendants().find(|node| node.has_tag_name(name));
    found?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACKS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks>
  <member><StackName>a</StackName><Outputs/><Reason></Reason></member>
  <member><StackName>b</StackName><Outputs>
    <member><OutputKey>k &amp; l</OutputKey><OutputValue>v</OutputValue></member>
  </Outputs></member>
</Stacks></DescribeStacksResult></DescribeStacksResponse>"#;

    #[test]
    fn members_are_those_of_the_list_and_not_of_lists_within() {
        let document = Document::parse(STACKS).unwrap();
        let names: Vec<_> = members(document.root_element(), "Stacks")
            .map(|stack| text(stack, "StackName"))
            .collect();
        assert_eq!(names, [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn text_is_unescaped_and_none_where_it_is_empty() {
        let document = Document::parse(STACKS).unwrap();
        let stacks: Vec<_> = members(document.root_element(), "Stacks").collect();
        assert_eq!(text(stacks[0], "Reason"), None);
        assert_eq!(members(stacks[0], "Outputs").count(), 0);
        let output = members(stacks[1], "Outputs").next().unwrap();
        assert_eq!(text(output, "OutputKey").as_deref(), Some("k & l"));
    }
}
