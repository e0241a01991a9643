//! Publishing alone: `cdk-assets`, and the commands of a CDK pipeline.

use std::fs;

use serde_json::Value;

use crate::{
    shared::story,
    support::{LARGE, Place, app, context},
};

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a template asks of the provider.
fn output_tag(template: &Value) -> String {
    let resources = template["Resources"].as_object().unwrap();
    let mut resources = resources.values();
    let index = resources.find(|one| one["Type"] == "Custom::SociIndexBuild");
    index.unwrap()["Properties"]["OutputImageTag"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn cdk_assets_alone() {
    story(async |shared| {
        let place = Place::new(shared);
        let image = place.image("image", 6, LARGE);
        let assembly = place
            .synthesize("publish.js", &context("Assets", &image))
            .await;
        let tag = output_tag(&json(&assembly.join("Assets.template.json")));
        let line = "cdk-assets publish --path Assets.assets.json";
        let printed = place.shell(line, &assembly, &[]).await;
        assert!(printed.contains("soci-docker: indexed "), "{printed}");
        let digest = place.digest_of(&tag);
        assert!(digest.is_some());

        // Whatever deploys it afterwards.
        let app = app("Assets", &image, &serde_json::json!({}));
        place.deploy("Assets", &app, None).await;
        let found = place.answer("Assets");
        assert_eq!(found["Outcome"], "already-there", "{found}");
        assert_eq!(found["OutputImageDigest"].as_str(), digest.as_deref());
    });
}

#[test]
fn a_pipeline() {
    story(async |shared| {
        let place = Place::new(shared);
        let image = place.image("image", 7, LARGE);
        let assembly = place
            .synthesize("pipeline.js", &context("App", &image))
            .await;
        let template = json(&assembly.join("Pipeline.template.json"));
        let resources = template["Resources"].as_object().unwrap();
        let project = resources.iter().find(|(id, one)| {
            id.starts_with("PipelineAssetsDockerAsset") && one["Type"] == "AWS::CodeBuild::Project"
        });
        let (_, project) = project.unwrap();
        let properties = &project["Properties"];
        let variables = properties["Environment"]["EnvironmentVariables"]
            .as_array()
            .unwrap();
        let variables: Vec<_> = variables
            .iter()
            .map(|one| {
                (
                    one["Name"].as_str().unwrap(),
                    one["Value"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(variables, [("CDK_DOCKER", "soci-docker")]);

        let buildspec = properties["Source"]["BuildSpec"].as_str().unwrap();
        let buildspec: Value = serde_json::from_str(buildspec).unwrap();
        let commands = |phase: &str| -> Vec<String> {
            let commands = buildspec["phases"][phase]["commands"].as_array().unwrap();
            commands
                .iter()
                .map(|one| one.as_str().unwrap().to_owned())
                .collect()
        };
        // Both are in the PATH here already.
        let install = commands("install");
        let ours = "npm install -g --legacy-peer-deps soci-index-build";
        assert_eq!(install.len(), 2, "{install:?}");
        assert!(install.contains(&ours.to_owned()), "{install:?}");

        let stage = assembly.join("assembly-Stage");
        let template = fs::read_dir(&stage)
            .unwrap()
            .map(|file| file.unwrap().path());
        let template = template.filter(|path| path.to_string_lossy().ends_with(".template.json"));
        let tag = output_tag(&json(&template.last().unwrap()));
        for command in commands("build") {
            let printed = place.shell(&command, &assembly, &variables).await;
            assert!(printed.contains("soci-docker: indexed "), "{printed}");
        }
        assert!(place.digest_of(&tag).is_some());
    });
}
