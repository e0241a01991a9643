//! What the recipes of builder/PIPELINES.md run in a shell, run.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_codebuild::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use bytes::Bytes;
use hyper::{Request, StatusCode};
use local_cloud::{
    account::REGION,
    cloud::given::{build_rights, project, role_arn, zip},
    codebuild::Status,
};
use regex_lite::Regex;
use serde_json::Value;
use soci_testing::{
    fake_registry::FakeRegistry,
    http::{Reply, Server},
    image::{self as made, Layer},
};

use crate::{
    action_runner::Runner,
    world::{ROLE, World, make_executable},
    yaml,
};

type Variables = BTreeMap<String, String>;

/// As `bash -e` is started for the steps of GitLab and GitHub.
const BASH: [&str; 5] = ["bash", "--noprofile", "--norc", "-eo", "pipefail"];

fn variables(of: &Value) -> Variables {
    let of = of.as_object().unwrap().iter();
    of.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

fn lines(of: &Value) -> String {
    let lines = of.as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

fn output_digest(result: &str) -> String {
    let result: Value = serde_json::from_str(result).unwrap();
    assert_eq!(result["outcome"], "indexed");
    result["output_digest"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn github() {
    let world = World::new().await;
    let workflow = yaml::parse(world.page.block(".github/workflows/index.yml"));
    let job = &workflow["jobs"]["index"];
    let [login, index, deploy] = job["steps"].as_array().unwrap().as_slice() else {
        panic!("other steps: {job}");
    };
    assert_eq!(login["with"]["role-to-assume"], role_arn(ROLE));
    assert_eq!(login["with"]["aws-region"], REGION);
    let mut environment = world.cloud.environment();
    environment.extend(world.credentials());
    let runner = Runner::with(environment);
    let releases = world.release_url();
    let mut inputs = variables(&index["with"]);
    inputs.insert("release-url".to_owned(), releases);
    let inputs: Vec<_> = inputs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let ended = runner.run(&inputs);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.outputs["digest"], world.is_indexed());
    let expression = format!(
        "${{{{ steps.{}.outputs.digest }}}}",
        index["id"].as_str().unwrap()
    );
    let mut variables = variables(&deploy["env"]);
    for value in variables.values_mut() {
        *value = value.replace(&expression, &ended.outputs["digest"]);
        assert!(!value.contains("${{"), "{value}");
    }
    let said = world
        .run(&BASH, deploy["run"].as_str().unwrap(), &variables)
        .stdout;
    let image = world
        .image
        .replace(":v1", &format!("@{}", ended.outputs["digest"]));
    assert_eq!(
        String::from_utf8(said).unwrap(),
        format!("deploy {image}\n")
    );
}

/// Plays STS: gives a session of the role for the pipeline's token.
async fn token_service(world: &World) -> Server {
    let keys = Arc::new(world.keys());
    let server = Server::start(move |request: Request<Bytes>| {
        let keys = keys.clone();
        async move {
            let form = url::form_urlencoded::parse(request.body());
            let form: Variables = form.into_owned().collect();
            let asked = ["Action", "RoleArn", "WebIdentityToken"].map(|name| form[name].as_str());
            if asked
                != [
                    "AssumeRoleWithWebIdentity",
                    &role_arn(ROLE),
                    "the pipeline's token",
                ]
            {
                return Reply::new(StatusCode::FORBIDDEN, "");
            }
            let credentials = format!(
                "<Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
                 <SessionToken>{}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
                keys.access_key_id, keys.secret_access_key, keys.session_token
            );
            let result = format!(
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <AssumeRoleWithWebIdentityResult>{credentials}</AssumeRoleWithWebIdentityResult>\
                 </AssumeRoleWithWebIdentityResponse>"
            );
            Reply::new(StatusCode::OK, result)
        }
    });
    server.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab() {
    let world = World::new().await;
    let sts = token_service(&world).await;
    let pipeline = yaml::parse(world.page.block(".gitlab-ci.yml"));
    let job = &pipeline["index"];
    let mut environment = variables(&job["variables"]);
    assert_eq!(environment["IMAGE"], world.image);
    let (token, _) = job["id_tokens"].as_object().unwrap().iter().next().unwrap();
    environment.insert(token.clone(), "the pipeline's token".to_owned());
    // No file of a name that others on this machine may use.
    let file = world.folder.path().join("token").display().to_string();
    environment.insert("AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(), file);
    environment.insert(
        "AWS_ENDPOINT_URL_STS".to_owned(),
        format!("http://{}", sts.address()),
    );
    let script = format!(
        "{}\n{}",
        lines(&job["before_script"]),
        lines(&job["script"])
    );
    world.run(&BASH, &script, &environment);
    let digest = world.is_indexed();
    assert_eq!(output_digest(&world.written("soci-index.json")), digest);
    let variables = job["artifacts"]["reports"]["dotenv"].as_str().unwrap();
    assert_eq!(world.written(variables), format!("IMAGE_DIGEST={digest}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn codebuild() {
    let world = World::of(|given, page| {
        let mut project = project("p", page.block("buildspec.yml"));
        project.service_role = role_arn(ROLE);
        let source = zip(&[("Dockerfile", 0o644, b"FROM scratch\n")]).unwrap();
        given
            .role(&role_arn(ROLE), build_rights("p").into())
            .object("assets", "p.zip", source)
            .project(project)
    })
    .await;
    let config = aws_sdk_codebuild::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(world.cloud.codebuild_endpoint())
        .credentials_provider(Credentials::new(
            "AKIADEPLOYER",
            "secret",
            None,
            None,
            "test",
        ))
        .build();
    let client = Client::from_conf(config);
    let started = client.start_build().project_name("p").send().await;
    let id = started
        .unwrap()
        .build_value()
        .unwrap()
        .id()
        .unwrap()
        .to_owned();
    let build = world.cloud.codebuild().build(&id).unwrap();
    assert_eq!(
        build.finished().await,
        Some(Status::Succeeded),
        "{}",
        build.log()
    );
    let digest = world.is_indexed();
    assert!(build.log().contains(&digest), "{}", build.log());
    let found = client.batch_get_builds().ids(&id).send().await.unwrap();
    let exported = found.builds()[0].exported_environment_variables()[0].clone();
    assert_eq!(exported.name(), Some("IMAGE_DIGEST"));
    assert_eq!(exported.value(), Some(digest.as_str()));
}

/// A block of a Jenkinsfile with one level of braces in it at most: `environment { … }`.
fn section<'a>(file: &'a str, name: &str) -> &'a str {
    let start = file.find(&format!("{name} {{")).unwrap();
    let rest = &file[start..];
    &rest[..rest.find('}').unwrap()]
}

/// Names that Jenkins's declarative pipelines and its usual steps know.
const JENKINS: [&str; 12] = [
    "agent",
    "archiveArtifacts",
    "artifacts",
    "environment",
    "label",
    "options",
    "pipeline",
    "sh",
    "stage",
    "stages",
    "steps",
    "timeout",
];

#[tokio::test(flavor = "multi_thread")]
async fn jenkins() {
    let world = World::new().await;
    let file = world.page.block("Jenkinsfile");
    let pair = Regex::new(r"(?m)^\s*([A-Z_]+) = '([^']*)'$").unwrap();
    let mut environment: Variables = pair
        .captures_iter(section(file, "environment"))
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    assert_eq!(environment["IMAGE"], world.image);
    // The agent's role.
    environment.extend(world.credentials());
    let step = Regex::new(r"(?s)sh '''(.*?)'''|sh '([^'\n]+)'").unwrap();
    let mut steps = 0;
    for found in step.captures_iter(file) {
        let script = found.get(1).or(found.get(2)).unwrap().as_str();
        // Groovy would read a backslash itself.
        assert!(!script.contains('\\'), "{script}");
        world.run(&["sh", "-xe"], script, &environment);
        steps += 1;
    }
    assert_eq!(steps, 2);
    assert_eq!(
        output_digest(&world.written("soci-index.json")),
        world.is_indexed()
    );
    // The rest is as well-formed as can be told without Jenkins.
    let rest = Regex::new(r"(?s)'''.*?'''|'[^'\n]*'")
        .unwrap()
        .replace_all(file, "''")
        .into_owned();
    for (open, close) in [("{", "}"), ("(", ")")] {
        assert_eq!(rest.matches(open).count(), rest.matches(close).count());
    }
    let word = Regex::new(r"\b[a-z][A-Za-z]+\b").unwrap();
    for found in word.find_iter(&rest) {
        let name = found.as_str();
        assert!(
            JENKINS.contains(&name) || ["time", "unit"].contains(&name),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buildkite() {
    let world = World::new().await;
    let pipeline = yaml::parse(world.page.block(".buildkite/pipeline.yml"));
    let step = &pipeline["steps"][0];
    let mut environment = variables(&step["env"]);
    assert_eq!(environment["IMAGE"], world.image);
    let plugin = step["plugins"][0]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(plugin["role-arn"], role_arn(ROLE));
    environment.extend(world.credentials());
    let command = step["command"].as_str().unwrap();
    assert_eq!(command, ".buildkite/soci-index.sh");
    make_executable(&world.page.write(command, &world.work()));
    world.run(&BASH, command, &environment);
    let result = step["artifact_paths"].as_str().unwrap();
    assert_eq!(output_digest(&world.written(result)), world.is_indexed());
}

#[tokio::test(flavor = "multi_thread")]
async fn image_builders_and_the_container_image() {
    for (recipe, tool, script) in [
        ("buildx", "docker", r#"[[ $1 == buildx && " $* " == *" --tag $IMAGE --push . "* ]]"#.to_owned()),
        ("ko", "ko", r#"[[ $1 == build ]]; echo "${IMAGE%:*}@$DIGEST""#.to_owned()),
        (
            "jib",
            "mvn",
            r#"[[ " $* " == *" jib:build -Djib.to.image=$IMAGE "* ]]; mkdir target; printf %s "$DIGEST" >target/jib-image.digest"#
                .to_owned(),
        ),
        (
            "kaniko",
            "executor",
            r#"[[ " $* " == *" --destination $IMAGE --image-name-with-digest-file image "* ]]; echo "${IMAGE%:*}@$DIGEST" >image"#
                .to_owned(),
        ),
        (
            "docker-run",
            "docker",
            r#"while [[ $1 != ghcr.io/* ]]; do shift; done; exec soci-builder "${@:2}""#.to_owned(),
        ),
    ] {
        let world = World::new().await;
        // The image is there already: what a tool would have pushed.
        world.stand_in(tool, &script);
        world.install_builder();
        let mut environment = world.credentials();
        for (name, value) in [("IMAGE", &world.image), ("DIGEST", &world.image_digest)] {
            environment.insert(name.to_owned(), value.clone());
        }
        environment.insert("TAG".to_owned(), "v1".to_owned());
        let commands = world.page.block(recipe).replace("/kaniko/executor", "executor");
        world.run(&BASH, &commands, &environment);
        world.is_indexed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirror() {
    let world = World::new().await;
    world.install_builder();
    let source = FakeRegistry::start();
    let layers = [1, 2].map(|seed| Layer::noise(seed, 10_600_000));
    let image = |platform, layer| made::Image::for_platform(platform, [layer]);
    let both = made::Image::list([
        ("linux/amd64", image("linux/amd64", &layers[0])),
        ("linux/arm64", image("linux/arm64", &layers[1])),
    ]);
    both.push(&source, "3.13");
    let commands = world.page.block("mirror");
    let here = format!("{}/{}:3.13", source.host(), made::REPOSITORY);
    let commands = commands.replace("public.ecr.aws/docker/library/python:3.13", &here);
    world.run(&BASH, &commands, &world.credentials());
    world.has("3.13-soci");
    assert_eq!(
        world.cloud.ecr().tags("app")["3.13"],
        both.digest().to_string()
    );
    for layer in &layers {
        assert_eq!(source.served(&layer.digest), layer.size as u64);
    }
    // The second time there is nothing to do.
    world.run(&BASH, &commands, &world.credentials());
    for layer in &layers {
        assert_eq!(source.served(&layer.digest), layer.size as u64);
    }
}

/// Where a block is tried, so that none is added that is not.
#[test]
fn every_recipe_is_tried() {
    let source = include_str!("recipes.rs").to_owned()
        + include_str!("world.rs")
        + include_str!("schemas.rs");
    let page = crate::page::Page::read();
    let mut names = page.names();
    assert!(names.len() > 10, "{names:?}");
    names.retain(|name| !source.contains(&format!("\"{name}\"")));
    assert!(names.is_empty(), "not tried: {names:?}");
}

#[test]
fn the_trust_policy_names_the_repository_and_the_branch() {
    let policy = yaml::parse(crate::page::Page::read().block("trust-policy"));
    let equals = &policy["Statement"][0]["Condition"]["StringEquals"];
    let sub = &equals["token.actions.githubusercontent.com:sub"];
    assert_eq!(sub, "repo:OWNER/REPOSITORY:ref:refs/heads/main");
    assert_eq!(
        equals["token.actions.githubusercontent.com:aud"],
        "sts.amazonaws.com"
    );
}
