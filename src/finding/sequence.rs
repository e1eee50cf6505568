//! The subjects of an attack sequence, or of a custom detection rule, which has the same shape.
//!
//! `resource` says only `AttackSequence`; actors, resources and endpoints stand in `service.detection.sequence`, and
//! may be of several accounts and regions. AWS publishes no full example. Where the model leaves open what a field
//! holds, both readings are accepted if they can be told apart, else the subject is unknown.

use super::Remote;
use super::credentials::{Credentials, identity};
use super::network::{address, network};
use super::resources::{s3_path, tail, unknown};
use super::scalar::{Text, Whole};
use super::subject::{Subject, SubjectKind};
use super::tolerant::{List, Loose, Many, Part};
use crate::id::{AccountId, BucketName, InstanceId, Place, Region};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Sequence {
    actors: List<Actor>,
    endpoints: Many<Endpoint>,
    resources: List<Resource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Actor {
    session: Part<Session>,
    user: Part<User>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the finding")]
struct User {
    account: Part<Account>,
    credential_uid: Option<String>,
    name: Option<String>,
    #[serde(rename = "type")]
    user_type: Option<String>,
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Account {
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Session {
    issuer: Option<String>,
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the finding")]
struct Resource {
    account_id: Option<String>,
    data: Part<Data>,
    name: Text,
    region: Option<String>,
    resource_type: Text,
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Data {
    access_key: Part<Credentials>,
    s3_object: Part<Object>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    key: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Endpoint {
    autonomous_system: Loose<AutonomousSystem>,
    ip: Text,
    location: Loose<Location>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AutonomousSystem {
    name: Text,
    number: Whole,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    city: Text,
    country: Text,
}

impl Sequence {
    /// Everyone and everything in the sequence, each at its own place.
    pub(super) fn subjects(&self, at: &Place) -> Vec<Subject> {
        let actors = self.actors.0.iter().filter_map(|actor| actor.subject(at));
        actors.chain(self.resources.0.iter().filter_map(|resource| resource.subject(at))).collect()
    }

    /// The addresses on the other side. Their ports are not ours: the model gives an endpoint the remote one.
    pub(super) fn remotes(&self) -> impl Iterator<Item = Remote> {
        self.endpoints.0.iter().filter_map(|Endpoint { autonomous_system, ip, location }| {
            let network = network(autonomous_system.0.name.0.as_deref(), autonomous_system.0.number.0);
            let Location { city, country } = &location.0;
            Some(Remote { address: address(ip)?, country: country.0.clone(), city: city.0.clone(), network })
        })
    }
}

impl Actor {
    fn subject(&self, at: &Place) -> Option<Subject> {
        let user = self.user.0.as_ref()?;
        let account = user.account.0.as_ref().and_then(|account| account.uid.as_deref());
        let credentials = self.credentials(user);
        located(at, account, None, |at| identity(&credentials, &at.account))
    }

    fn credentials(&self, user: &User) -> Credentials {
        let session = self.session.0.as_ref();
        let issuer = session.and_then(|session| role_of(session.issuer.as_deref()?));
        Credentials {
            access_key_id: user.credential_uid.clone(),
            principal_id: session.and_then(|session| session.completes(user)).or_else(|| user.uid.clone()),
            // The issuer is the role for certain; the user's name may be that of the session.
            user_name: issuer.or_else(|| user.name.clone()),
            user_type: user.user_type.clone(),
        }
    }
}

impl Session {
    /// The session's id where it is the user's own id with the session's name behind it, `AROA…:session`.
    ///
    /// A bare name is not put together with the user's id: nothing says that it is the name.
    fn completes(&self, user: &User) -> Option<String> {
        let (role, _) = self.uid.as_deref()?.split_once(':')?;
        (Some(role) == user.uid.as_deref()).then(|| self.uid.clone())?
    }
}

/// The role's name in `arn:aws:iam::111122223333:role/path/name`.
fn role_of(arn: &str) -> Option<String> {
    arn.split_once(":role/").map(|(_, path)| tail(path))
}

impl Resource {
    fn subject(&self, at: &Place) -> Option<Subject> {
        // Keys and users have no region; one that is told would only make two subjects of one.
        let region = self.region.as_deref().filter(|_| self.resource_type.0.as_deref() != Some("ACCESS_KEY"));
        located(at, self.account_id.as_deref(), region, |at| self.kind(&at.account))
    }

    fn kind(&self, account: &AccountId) -> Option<SubjectKind> {
        let name = || self.name.0.clone().or_else(|| Some(tail(self.uid()?)));
        match self.resource_type.0.as_deref()? {
            "EC2_INSTANCE" => self.uid().map(instance),
            "ACCESS_KEY" => identity(&self.credentials(), account),
            "S3_BUCKET" => self.uid().map(bucket),
            "S3_OBJECT" => self.uid().map(|uid| self.object(uid)),
            "EKS_CLUSTER" => name().map(|name| SubjectKind::EksCluster { name }),
            "KUBERNETES_WORKLOAD" | "CONTAINER" => name().map(|name| SubjectKind::Container { name }),
            "ECS_TASK" => self.uid().map(|uid| SubjectKind::EcsTask { arn: uid.to_owned() }),
            "EC2_IMAGE" => self.uid().map(|uid| SubjectKind::Image { id: tail(uid) }),
            // These say where an instance stands or came from; the instance itself is named beside them.
            "EC2_NETWORK_INTERFACE"
            | "EC2_VPC"
            | "EC2_LAUNCH_TEMPLATE"
            | "AUTOSCALING_AUTO_SCALING_GROUP"
            | "IAM_INSTANCE_PROFILE"
            | "CLOUDFORMATION_STACK" => None,
            new => Some(unknown(new, self.uid().unwrap_or_default())),
        }
    }

    fn uid(&self) -> Option<&str> {
        self.uid.as_deref().filter(|uid| !uid.trim().is_empty())
    }

    fn credentials(&self) -> Credentials {
        let details = self.data.0.as_ref().and_then(|data| data.access_key.0.clone()).unwrap_or_default();
        Credentials { access_key_id: self.uid().map(tail), ..details }
    }

    fn object(&self, uid: &str) -> SubjectKind {
        let told = self.data.0.as_ref().and_then(|data| data.s3_object.0.as_ref()).and_then(|it| it.key.0.clone());
        let (bucket, key) = s3_path(uid);
        match BucketName::try_from(bucket) {
            Ok(bucket) => SubjectKind::Object { bucket, key: told.unwrap_or_else(|| key.to_owned()) },
            Err(_) => unknown("object", uid),
        }
    }
}

fn bucket(uid: &str) -> SubjectKind {
    BucketName::try_from(s3_path(uid).0).map_or_else(|_| unknown("bucket", uid), |name| SubjectKind::Bucket { name })
}

fn instance(uid: &str) -> SubjectKind {
    let id = InstanceId::try_from(tail(uid));
    id.map_or_else(
        |_| unknown("instance", uid),
        |id| SubjectKind::Instance { id, groups: Vec::new(), interfaces: Vec::new(), vpcs: Vec::new() },
    )
}

/// A subject at the place it names, else at the finding's.
///
/// A place that is named but is none makes the subject unknown: acting on it elsewhere would hit a namesake.
fn located(
    at: &Place,
    account: Option<&str>,
    region: Option<&str>,
    kind: impl FnOnce(&Place) -> Option<SubjectKind>,
) -> Option<Subject> {
    match place(at, account, region) {
        Some(at) => kind(&at).map(|kind| Subject { at, kind }),
        None => {
            kind(at).map(|kind| Subject { at: at.clone(), kind: unknown("at an unknown place:", &kind.to_string()) })
        }
    }
}

fn place(at: &Place, account: Option<&str>, region: Option<&str>) -> Option<Place> {
    let (account, region) = (account.filter(|it| !it.is_empty()), region.filter(|it| !it.is_empty()));
    Some(Place {
        partition: at.partition,
        account: account.map_or_else(|| Some(at.account.clone()), |it| AccountId::try_from(it).ok())?,
        // Buckets and identities may be said to be global; they are reached from the finding's region.
        region: match region {
            None | Some("global" | "aws-global") => at.region.clone(),
            Some(region) => Region::try_from(region).ok()?,
        },
    })
}
