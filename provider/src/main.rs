//! The program `bootstrap` of all functions: clients once, then one invocation after the other. Which function it is, a variable says.

use std::{env, io, sync::Arc, time::SystemTime};

use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use soci_index::run::chain;
use soci_provider::{
    app::App,
    builder_function::{self, BuilderFunction, Invocation, StackResources},
    handler::handle,
    metrics::Metrics,
    on_push::{self, OnPush, Settings},
    pace::{self, Pace},
    start_times::{self, StartTimes},
};
use tokio::runtime::{Builder, Runtime};

/// Says which function this is.
const ROLE: &str = "SOCI_INDEX_BUILD_FUNCTION";
/// What is left to the program of a function with 1 vCPU and more; a layer is read on threads of its own.
const BUILDER_THREADS: usize = 2;

fn main() -> Result<(), Error> {
    match env::var(ROLE).as_deref() {
        Err(_) | Ok("provider") => for_calls()?.block_on(provide()),
        Ok("builder") => for_layers()?.block_on(build()),
        Ok("on-push") => for_layers()?.block_on(index_pushed()),
        Ok("start-times") => for_calls()?.block_on(measure()),
        Ok(other) => {
            let roles = "provider, builder, on-push or start-times";
            Err(format!("{ROLE} is {other:?}, expected {roles}").into())
        }
    }
}

/// One thread: calls are waited for nearly all of the time.
fn for_calls() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn for_layers() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(BUILDER_THREADS)
        .enable_all()
        .build()
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
    let endpoint = env::var("AWS_ENDPOINT_URL_CLOUDFORMATION").ok();
    let endpoint = endpoint.map(|url| url.parse()).transpose()?;
    let resources = StackResources::new(app.config.clone(), app.http.clone(), endpoint);
    let log = |name: &str| env::var(format!("AWS_LAMBDA_LOG_{name}_NAME"));
    let log = match (log("GROUP"), log("STREAM")) {
        (Ok(group), Ok(stream)) => Some(format!("{group} {stream}")),
        _ => None,
    };
    let function = BuilderFunction::new(app, memory_bytes()?, Vec::new(), resources, log);
    let function = Arc::new(function);
    let handler = |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move {
            let invocation = invocation(&event.context);
            let handled = builder_function::handle(&function, event.payload, invocation);
            Box::pin(handled).await.map_err(Error::from)
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}

async fn index_pushed() -> Result<(), Error> {
    let settings = env::var(on_push::VARIABLE).ok();
    let settings = Settings::parse(settings.as_deref())?;
    let memory = memory_bytes()?;
    let metrics = Metrics::to_stdout();
    let function = OnPush::new(app().await?, memory, Vec::new(), settings, metrics);
    let function = Arc::new(function);
    let handler = |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move {
            let invocation = invocation(&event.context);
            let handled = on_push::handle(&function, event.payload, invocation);
            let handled = Box::pin(handled).await;
            // The queue's message has it.
            handled.map_err(|error| Diagnostic {
                error_type: "SociIndexBuild.Failed".to_owned(),
                error_message: chain(&error),
            })
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}

async fn measure() -> Result<(), Error> {
    let function = Arc::new(StartTimes::new(app().await?, Metrics::to_stdout()));
    let handler = |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move {
            let invocation = invocation(&event.context);
            let handled = start_times::handle(&function, &event.payload, invocation);
            Box::pin(handled).await.map_err(Error::from)
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}

fn invocation(context: &Context) -> Invocation {
    Invocation {
        request_id: context.request_id.clone(),
        deadline: context.deadline(),
    }
}

fn memory_bytes() -> Result<u64, Error> {
    let mib: u64 = env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?.parse()?;
    Ok(mib << 20)
}

async fn app() -> Result<Arc<App>, Error> {
    let pace = Pace::parse(env::var(pace::VARIABLE).ok().as_deref())?;
    let function = env::var("AWS_LAMBDA_FUNCTION_NAME")?;
    Ok(Arc::new(App::load(function, pace).await?))
}
