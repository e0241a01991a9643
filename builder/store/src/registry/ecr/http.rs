//! HTTP for the AWS SDK, as its default, but past the proxy where a proxy cannot help.
//! In: requests of the SDK. Out: a connector that goes through the environment's proxies, or one that does not.

use aws_smithy_http_client::{
    Builder, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use url::{Host, Url};

use crate::registry::address::is_loopback;

/// Clients with and without the environment's proxies.
pub(super) fn client() -> SharedHttpClient {
    SharedHttpClient::new(Both {
        near: with_proxy(ProxyConfig::disabled),
        far: with_proxy(ProxyConfig::from_env),
    })
}

fn with_proxy(proxy: fn() -> ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector =
            ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(proxy()));
        connector.build()
    })
}

/// Something for near hosts, and the same for far ones.
#[derive(Debug)]
struct Both<T> {
    near: T,
    far: T,
}

impl HttpClient for Both<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Both {
            near: self.near.http_connector(settings, components),
            far: self.far.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Both<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if is_near(request.uri()) {
            self.near.call(request)
        } else {
            self.far.call(request)
        }
    }
}

/// This machine, and the link-local addresses at which containers and instances find their role's credentials.
fn is_near(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    is_loopback(&url) || matches!(url.host(), Some(Host::Ipv4(address)) if address.is_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_role_are_near_and_aws_is_far() {
        for (uri, near) in [
            ("http://169.254.170.2/v2/credentials/1", true),
            ("http://169.254.169.254/latest/api/token", true),
            ("http://127.0.0.1:4566/", true),
            ("https://api.ecr.eu-west-1.amazonaws.com/", false),
            ("/", false),
        ] {
            assert_eq!(is_near(uri), near, "{uri}");
        }
    }
}
