//! The program `bootstrap` of both functions: clients once, then one invocation after the other. Which function it is, a variable says.

use std::{env, sync::Arc, time::SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use soci_provider::{
    app::App,
    builder_function::{self, BuilderFunction, Invocation, StackResources},
    handler::handle,
    pace::{self, Pace},
};
use tokio::runtime::Builder;

/// Says which function this is.
const ROLE: &str = "SOCI_INDEX_BUILD_FUNCTION";
/// What is left to the program of a function with 1 vCPU and more; a layer is read on threads of its own.
const BUILDER_THREADS: usize = 2;

fn main() -> Result<(), Error> {
    match env::var(ROLE).as_deref() {
        // One thread: the provider waits nearly all of its time.
        Err(_) | Ok("provider") => Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(provide()),
        Ok("builder") => Builder::new_multi_thread()
            .worker_threads(BUILDER_THREADS)
            .enable_all()
            .build()?
            .block_on(build()),
        Ok(other) => Err(format!("{ROLE} is provider or builder, not {other:?}").into()),
    }
}

async fn provide() -> Result<(), Error> {
    let app = app().await?;
    let handler = |invocation: LambdaEvent<Value>| {
        let app = Arc::clone(&app);
        async move {
            let deadline: SystemTime = invocation.context.deadline();
            // Boxed: the compiler counts how deep futures of futures go, and has a limit.
            let handled = Box::pin(handle(&app, invocation.payload, deadline)).await;
            handled.map_err(Error::from)
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}

async fn build() -> Result<(), Error> {
    let app = app().await?;
    let memory: u64 = env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?.parse()?;
    let endpoint = env::var("AWS_ENDPOINT_URL_CLOUDFORMATION").ok();
    let endpoint = endpoint.map(|url| url.parse()).transpose()?;
    let resources = StackResources::new(app.config.clone(), app.http.clone(), endpoint);
    let log = |name: &str| env::var(format!("AWS_LAMBDA_LOG_{name}_NAME"));
    let log = match (log("GROUP"), log("STREAM")) {
        (Ok(group), Ok(stream)) => Some(format!("{group} {stream}")),
        _ => None,
    };
    let function = BuilderFunction::new(app, memory << 20, Vec::new(), resources, log);
    let function = Arc::new(function);
    let handler = |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move {
            let invocation = Invocation {
                deadline: event.context.deadline(),
                request_id: event.context.request_id,
            };
            let handled = builder_function::handle(&function, event.payload, invocation);
            Box::pin(handled).await.map_err(Error::from)
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}

async fn app() -> Result<Arc<App>, Error> {
    let pace = Pace::parse(env::var(pace::VARIABLE).ok().as_deref())?;
    let function = env::var("AWS_LAMBDA_FUNCTION_NAME")?;
    Ok(Arc::new(App::load(function, pace).await?))
}
