//! A cloud with the project `p`, and what its builds tell.

use std::sync::Arc;

use aws_sdk_codebuild::{
    Client,
    config::{AppName, BehaviorVersion, Credentials, Region, retry::RetryConfig},
    types::{Build, EnvironmentVariable, StatusType},
};
use local_cloud::{
    account::{Project, REGION},
    cloud::{
        Cloud, Options,
        given::{Given, build_rights, project, zip},
    },
    codebuild,
};
use serde_json::{Value, json};

/// A cloud with the project `p`, and a client that may do everything.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) client: Client,
}

pub(crate) fn given(project: Project, more: &[Value]) -> Given {
    let name = project.name.clone();
    let mut rights = build_rights(&name);
    rights.extend_from_slice(more);
    let source = zip(&[("hello", 0o755, b"#!/bin/sh\necho hello from the source\n")]).unwrap();
    Given::new()
        .role(&project.service_role, Value::from(rights))
        .object("assets", &format!("{name}.zip"), source)
        .project(project)
}

pub(crate) fn client(cloud: &Cloud, key: &str) -> Client {
    let config = aws_sdk_codebuild::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(cloud.codebuild_endpoint())
        .credentials_provider(Credentials::new(key, "secret", None, None, "test"))
        .app_name(AppName::new("Provider").unwrap())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

impl World {
    pub(crate) async fn of(given: Given, options: codebuild::Options) -> Self {
        let options = Options {
            codebuild: options,
            ..Default::default()
        };
        let cloud = Cloud::start(Arc::new(given), options).await.unwrap();
        let client = client(&cloud, "AKIADEPLOYER");
        Self { cloud, client }
    }

    /// With a project of these commands in its build phase, under bash.
    pub(crate) async fn with(commands: &[&str]) -> Self {
        let spec = json!({"version": "0.2", "env": {"shell": "bash", "exported-variables": ["OUT"]},
            "phases": {"build": {"commands": commands}}});
        Self::of(
            given(project("p", &spec.to_string()), &[]),
            Default::default(),
        )
        .await
    }

    pub(crate) async fn start(&self) -> String {
        let started = self.client.start_build().project_name("p").send().await;
        started
            .unwrap()
            .build_value()
            .unwrap()
            .id()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn get(&self, id: &str) -> Build {
        let found = self.client.batch_get_builds().ids(id).send().await.unwrap();
        found.builds()[0].clone()
    }

    pub(crate) async fn finish(&self, id: &str) -> Build {
        self.cloud.codebuild().build(id).unwrap().finished().await;
        self.get(id).await
    }

    /// Runs a build to its end.
    pub(crate) async fn run(&self) -> Build {
        let id = self.start().await;
        self.finish(&id).await
    }

    pub(crate) fn log(&self, build: &Build) -> String {
        self.cloud
            .codebuild()
            .build(build.id().unwrap())
            .unwrap()
            .log()
    }
}

pub(crate) fn variable(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable::builder()
        .name(name)
        .value(value)
        .build()
        .unwrap()
}

/// Phases with their ends.
pub(crate) fn phases(build: &Build) -> Vec<(&str, Option<&str>)> {
    build
        .phases()
        .iter()
        .map(|phase| {
            (
                phase.phase_type().unwrap().as_str(),
                phase.phase_status().map(StatusType::as_str),
            )
        })
        .collect()
}

/// Code and message of the phase that did not succeed.
pub(crate) fn failure(build: &Build) -> (&str, &str, &str) {
    let failed = build.phases().iter().find(|phase| {
        phase
            .phase_status()
            .is_some_and(|status| *status != StatusType::Succeeded)
    });
    let failed = failed.unwrap();
    let context = &failed.contexts()[0];
    (
        failed.phase_type().unwrap().as_str(),
        context.status_code().unwrap(),
        context.message().unwrap(),
    )
}

pub(crate) fn exported(build: &Build) -> Option<&str> {
    build.exported_environment_variables().first()?.value()
}
