//! Finds an index that needs no build: it exists already, or its image was deleted.
//! In: the properties. Out: the result, or `None` if the index must be built.

use soci_format::digest::Digest;
use soci_index::{report::Report, run};

use crate::{
    app::App,
    error::Error,
    event::RawProperties,
    image::Images,
    job::Job,
    orphaned_index::{NoUsableIndex, find_orphaned_index, is_gone},
    pace::RetryWindow,
    properties::Properties,
    verdict::{self, IndexResult},
};

/// A request and its images.
pub struct Existing<'a> {
    job: &'a Job,
    properties: &'a Properties,
    old: Option<&'a RawProperties>,
    images: Images,
}

impl<'a> Existing<'a> {
    /// `old` are the old properties of an Update.
    #[must_use]
    pub fn new(
        app: &App,
        job: &'a Job,
        properties: &'a Properties,
        old: Option<&'a RawProperties>,
        retry_window: RetryWindow,
    ) -> Self {
        Self {
            job,
            properties,
            old,
            images: app.images(&properties.repository, retry_window, &job.log),
        }
    }

    /// Checks whether the index exists.
    ///
    /// # Errors
    /// If the image cannot be read.
    pub async fn look(&self) -> Result<Option<Report>, run::Error> {
        let request = self.properties.request();
        run::already_there(&request, &self.images).await
    }

    /// The result of that check; `None` if the index must be built.
    ///
    /// # Errors
    /// Why there can be no index.
    pub async fn settle(
        &self,
        looked: Result<Option<Report>, run::Error>,
    ) -> Result<Option<Box<IndexResult>>, Error> {
        let image = self.properties.image();
        let Some(report) = (match looked {
            Ok(found) => found,
            Err(error) => return self.without_image(error).await.map(Some),
        }) else {
            return match self.images.denied() {
                Some(source) => Err(Error::Rights { image, source }),
                None => Ok(None),
            };
        };
        self.job.log.info(format_args!(
            "{image}: no build needed: {:?}",
            report.outcome
        ));
        let done = verdict::from_report(self.properties, report, None)?;
        Ok(Some(Box::new(done)))
    }

    /// The digest that the input tag had when it was read.
    #[must_use]
    pub fn image(&self) -> Option<Digest> {
        let tag = self.properties.input_tag();
        tag.and_then(|tag| self.images.digest_of(tag))
    }

    /// The image that the output tag was put for until now, where that is another one: an Update to an image that is not there is
    /// no rollback.
    fn index_of_another(&self, tag: &str) -> Option<String> {
        let old = Properties::parse(self.old?).ok()?;
        let is_here = old.repository == self.properties.repository;
        let is_other = old.output_tag.as_deref() == Some(tag) && old.input != self.properties.input;
        (is_here && is_other).then(|| old.image())
    }

    /// The image cannot be read. Where it is gone, its index may still be there: a rollback needs no more.
    async fn without_image(&self, error: run::Error) -> Result<Box<IndexResult>, Error> {
        let image = self.properties.image();
        let source = Box::new(error);
        let tag = self.properties.output_tag.as_deref();
        let Some(tag) = tag.filter(|_| is_gone(&source)) else {
            return Err(Error::Image { image, source });
        };
        let found = match self.index_of_another(tag) {
            Some(image) => {
                let tag = tag.to_owned();
                Err(NoUsableIndex::Another { tag, image })
            }
            None => find_orphaned_index(&self.images, tag).await,
        };
        match found {
            Ok(index) => {
                self.job.log.info(format_args!(
                    "{image} not found ({}); using the complete index under tag {tag}",
                    run::chain(&*source)
                ));
                Ok(Box::new(verdict::from_orphaned_index(
                    self.properties,
                    tag,
                    &index,
                )))
            }
            Err(why) => Err(Error::Gone {
                image,
                why: Box::new(why),
                source,
            }),
        }
    }
}
