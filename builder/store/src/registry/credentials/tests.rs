use super::*;

fn credentials(config: &str) -> (tempfile::TempDir, CredentialStore) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, config).unwrap();
    let environment = Environment {
        auth_files: vec![file],
        ..Environment::default()
    };
    (directory, CredentialStore::new(environment, Log::default()))
}

fn user(username: &str, password: &str) -> Credentials {
    Credentials {
        basic: Some(basic(username, password)),
        ..Credentials::default()
    }
}

fn identity(token: &str) -> Credentials {
    Credentials {
        identity: Some(Secret::new(token)),
        ..Credentials::default()
    }
}

async fn found(config: &str, host: &str) -> Option<Credentials> {
    let (_directory, credentials) = credentials(config);
    let found = credentials.find(host, "team/app").await.unwrap();
    found.map(|(credentials, _)| credentials)
}

fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn an_entry_has_many_forms() {
    let (plain, own) = (encoded("me:pa:ss"), format!(" {}\n", encoded("me:pa:ss")));
    let (newline, nul) = (encoded("me:pa:ss\n"), encoded("me:pa:ss\0"));
    let bare = plain.trim_end_matches('=');
    let url_safe = encoded("me:\u{fb}?>").replace('+', "-").replace('/', "_");
    let (token, azure) = (encoded("<token>:idt"), encoded(&format!("{NO_USER}:idt")));
    let nobody = encoded(&format!("{NO_USER}:"));
    let me = || Some(user("me", "pa:ss"));
    for (entry, expected) in [
        (format!(r#"{{"auth":"{plain}"}}"#), me()),
        (format!(r#"{{"auth":"{bare}"}}"#), me()),
        (format!(r#"{{"auth":"{}"}}"#, own.trim_end()), me()),
        (format!(r#"{{"auth":"{newline}"}}"#), me()),
        (format!(r#"{{"auth":"{nul}"}}"#), me()),
        (
            format!(r#"{{"auth":"{url_safe}"}}"#),
            Some(user("me", "\u{fb}?>")),
        ),
        (r#"{"username":"me","password":"pa:ss"}"#.to_owned(), me()),
        (
            r#"{"auth":"","username":"me","password":"pa:ss"}"#.to_owned(),
            me(),
        ),
        (
            format!(r#"{{"auth":"{plain}","username":"other","password":"x","email":null}}"#),
            me(),
        ),
        (
            r#"{"auth":"","identitytoken":"idt"}"#.to_owned(),
            Some(identity("idt")),
        ),
        (
            r#"{"identitytoken":"idt"}"#.to_owned(),
            Some(identity("idt")),
        ),
        (
            format!(r#"{{"auth":"{nobody}","identitytoken":"idt"}}"#),
            Some(identity("idt")),
        ),
        (format!(r#"{{"auth":"{token}"}}"#), Some(identity("idt"))),
        (
            format!(r#"{{"auth":"{azure}"}}"#),
            Some(Credentials {
                identity: Some(Secret::new("idt")),
                ..user(NO_USER, "idt")
            }),
        ),
        (
            r#"{"registrytoken":"rt"}"#.to_owned(),
            Some(Credentials {
                bearer: Some(Secret::new("rt")),
                ..Credentials::default()
            }),
        ),
        ("{}".to_owned(), None),
        ("null".to_owned(), None),
        (
            r#"{"auth":"","username":"","identitytoken":""}"#.to_owned(),
            None,
        ),
    ] {
        let config = format!(r#"{{"auths":{{"r.example":{entry}}}}}"#);
        assert_eq!(found(&config, "r.example").await, expected, "{entry}");
    }
}

#[tokio::test]
async fn files_may_be_empty_and_begin_with_a_mark() {
    for config in [
        "",
        "\n",
        "{}",
        r#"{"auths":null,"credHelpers":null,"credsStore":null}"#,
    ] {
        assert_eq!(found(config, "r.example").await, None, "{config:?}");
    }
    let config = "\u{feff}{\"auths\":{\"r.example\":{\"username\":\"u\",\"password\":\"p\"}}}";
    assert_eq!(found(config, "r.example").await, Some(user("u", "p")));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_not_quoted() {
    for (config, reason) in [
        (
            r#"{"auths":{"r.example":{"auth":"hunter2"#,
            "line 1, column",
        ),
        (
            r#"{"auths":{"r.example":{"auth":["hunter2"]}}}"#,
            "line 1, column",
        ),
        (
            r#"{"auths":{"r.example":{"auth":"hunter2:"}}}"#,
            "is not user:password in base64",
        ),
        (r#"{"auths":"hunter2"}"#, "line 1, column"),
    ] {
        let (directory, credentials) = credentials(config);
        let error = credentials.find("r.example", "app").await.unwrap_err();
        let said = super::super::log::chain(&error);
        let path = directory.path().join("config.json");
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(
            !format!("{said} {error:?}").contains("hunter2"),
            "{error:?}"
        );
        // Of an entry that cannot be read only its own registry hears.
        if reason.contains("base64") {
            assert_eq!(credentials.find("s.example", "app").await.unwrap(), None);
        }
        std::fs::remove_file(path).unwrap();
        assert_eq!(credentials.find("r.example", "app").await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_first_file_that_has_them_decides() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let entry = |user: &str| {
        format!(r#"{{"auths":{{"r.example":{{"username":"{user}","password":"p"}}}}}}"#)
    };
    let environment = Environment {
        auth_files: vec![
            directory.path().join("missing"),
            write("broken", "{"),
            write("empty", "{}"),
            write("second", &entry("second")),
            write("third", &entry("third")),
        ],
        ..Environment::default()
    };
    let credentials = CredentialStore::new(environment.clone(), Log::default());
    let (credentials, origin) = credentials.find("r.example", "app").await.unwrap().unwrap();
    assert_eq!(credentials, user("second", "p"));
    let place = directory.path().join("second").display().to_string();
    assert_eq!(
        origin,
        Origin::File {
            place,
            instead_of_ecr: None
        }
    );

    let variable = Environment {
        auth_config: Some((
            "DOCKER_AUTH_CONFIG".to_owned(),
            Secret::new(entry("variable")),
        )),
        ..environment
    };
    assert!(!format!("{variable:?}").contains("auths"));
    let credentials = CredentialStore::new(variable, Log::default());
    let (credentials, _) = credentials.find("r.example", "app").await.unwrap().unwrap();
    assert_eq!(credentials, user("variable", "p"));
}

#[tokio::test]
async fn variables_decide_over_files() {
    let (_directory, files) =
        credentials(r#"{"auths":{"r.example":{"username":"u","password":"p"}}}"#);
    let mut environment = Environment {
        username: Some("v".to_owned()),
        password: Some(Secret::new("hunter2")),
        ..files.environment.clone()
    };
    assert!(!format!("{environment:?}").contains("hunter2"));
    let both = CredentialStore::new(environment.clone(), Log::default());
    assert_eq!(
        both.find("r.example", "app").await.unwrap(),
        Some((user("v", "hunter2"), Origin::Variables))
    );
    environment.password = None;
    let half = CredentialStore::new(environment, Log::default());
    assert!(half.find("r.example", "app").await.is_err());
}
