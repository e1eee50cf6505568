//! Reads what a plan is made from. Whatever can be asked side by side is.

mod exposure;
mod instance;
mod role;
mod user_key;

use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::finding::SubjectKind;
use crate::observed::{Observation, Observed, View};

/// Every permission that observing needs.
pub const PERMISSIONS: &[&[&str]] =
    &[user_key::PERMISSIONS, role::PERMISSIONS, instance::PERMISSIONS, exposure::PERMISSIONS];

/// Looks at a subject as `view` wants it.
///
/// # Errors
/// `Gone` where the resource does not exist; otherwise why AWS could not be asked.
pub async fn observe(cloud: &Cloud, subject: &SubjectKind, view: View) -> Observation {
    match (view, subject) {
        (View::UserKey, SubjectKind::UserKey { user, key }) => {
            user_key::observe(cloud, user, key).await.map(Observed::UserKey)
        }
        (View::Role, SubjectKind::RoleSession { role, session, .. }) => {
            role::observe(cloud, role, session).await.map(Observed::Role)
        }
        (View::Instance, SubjectKind::Instance { id, .. }) => {
            instance::observe(cloud, id).await.map(Observed::Instance)
        }
        (View::Exposure, SubjectKind::Instance { id, groups }) => {
            exposure::observe(cloud, id, groups).await.map(Observed::Exposure)
        }
        (view, subject) => Err(CloudError::unreadable("observing", &format!("{subject} has no view {view:?}"))),
    }
}
