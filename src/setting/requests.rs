//! The ids of what was written: CloudTrail has each as the `requestID` of its event.

use crate::cloud_error::CloudError;
use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId;
use std::sync::{Mutex, PoisonError};

/// The writes of one step, in the order of AWS's answers. One that got no answer has no id.
#[derive(Debug, Default)]
pub struct Requests(Mutex<Vec<String>>);

impl Requests {
    /// Has AWS write something, and notes the id of its answer, also of a refusal.
    ///
    /// # Errors
    /// Why AWS did not, or may not have.
    pub async fn send<T, E>(
        &self,
        operation: &'static str,
        sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CloudError>
    where
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answer = sent.await;
        if let Some(id) = answer.request_id() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        }
        answer.map_err(|error| CloudError::new(operation, &error))
    }

    #[must_use]
    pub fn ids(self) -> Vec<String> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
