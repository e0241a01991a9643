//! `soci-builder report`: a page about an image, and about a start of it.

use std::{
    io,
    path::{Path, PathBuf},
};

use soci_builder::{
    page::{self, Subject},
    reader::{self, Outline},
    start::{Network, Start},
};
use tokio::task::spawn_blocking;

use super::{Access, ReportArgs, output, path_list, print};
use crate::exit_status::{ExitStatus, Output};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read {}", .0.display())]
    StartFiles(PathBuf, #[source] io::Error),
    #[error("cannot read {image}")]
    Image {
        image: String,
        source: reader::Error,
    },
    #[error(transparent)]
    Page(#[from] page::Unwritable),
}

pub(crate) async fn run(arguments: ReportArgs, access: &Access) -> Result<Output, ExitStatus> {
    let page = make(&arguments, access).await;
    let page = page.map_err(|error| ExitStatus::Failed(error.into()))?;
    let mut result = page.into_bytes();
    if arguments.output != Path::new("-") {
        let page = std::mem::take(&mut result);
        spawn_blocking(move || output::write(&arguments.output, &page))
            .await
            .map_err(|died| ExitStatus::Failed(died.into()))?
            .map_err(|error| ExitStatus::Failed(error.into()))?;
    }
    let status = ExitStatus::Success;
    Ok(Output { result, status })
}

async fn make(arguments: &ReportArgs, access: &Access) -> Result<String, Error> {
    let list = match &arguments.start_files {
        Some(path) => {
            let list = path_list::read(path).await;
            Some(list.map_err(|error| Error::StartFiles(path.clone(), error))?)
        }
        None => None,
    };
    let reference = arguments.image.image.to_string();
    let outline = outline(arguments, access)
        .await
        .map_err(|source| Error::Image {
            image: reference.clone(),
            source,
        })?;
    let start = list.map(|list| Start::of(&outline, path_list::lines(&list)));
    Ok(page::write(&Subject {
        reference: &reference,
        outline: &outline,
        start: start.as_ref(),
        network: Network {
            bandwidth: arguments.bandwidth,
            latency: arguments.latency,
        },
    })?)
}

async fn outline(arguments: &ReportArgs, access: &Access) -> Result<Outline, reader::Error> {
    let image = &arguments.image;
    let store = access.open(&image.image)?;
    let outline = Outline::read(store, &image.image, image.platform.as_ref()).await?;
    if let Some(warning) = &outline.image.warning {
        print::warn(warning);
    }
    Ok(outline)
}
